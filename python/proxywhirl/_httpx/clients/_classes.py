"""The exceptions of HTTP clients: one line for each class that says something else than its base does.

Classes are known by package and name, so that no client is imported for them. The nearest class in the order of
inheritance counts. Read off the clients' sources, and tried with the clients themselves over proxies that fail in every
way; see the tests of this package.
"""

from __future__ import annotations

from proxywhirl._httpx.clients._fault import Fault, Row, flat, phase, wraps

_PROXY = flat(Fault.PROXY)
_LOGIN = flat(Fault.LOGIN)
_TLS = flat(Fault.TLS)
_CUT = flat(Fault.CUT)
_CLIENT = flat(Fault.CLIENT)
_ELSEWHERE = flat(Fault.ELSEWHERE)
_ANSWER = flat(Fault.ANSWER)
_CONNECT = flat(Fault.CONNECT)
_WRAPS = wraps(Fault.CUT)
# The first connection of a client that has a proxy is the one to the proxy.
_CONNECTING = phase(Fault.PROXY)

_REQUESTS = {
    "RequestException": wraps(Fault.ELSEWHERE),
    "HTTPError": _ANSWER,
    "RetryError": _WRAPS,
    "TooManyRedirects": _ANSWER,
    "ConnectionError": _WRAPS,
    "ProxyError": wraps(Fault.PROXY),
    "SSLError": wraps(Fault.TLS),
    "Timeout": _CUT,
    "ConnectTimeout": _CONNECTING,
    "ChunkedEncodingError": _CUT,
    "ContentDecodingError": _CUT,
    "URLRequired": _CLIENT,
    "MissingSchema": _CLIENT,
    "InvalidSchema": _CLIENT,
    "InvalidURL": _CLIENT,
    "InvalidHeader": _CLIENT,
    "UnrewindableBodyError": _CLIENT,
    "MultiplexingError": _CUT,
}

_URLLIB3 = {
    "HTTPError": wraps(Fault.ELSEWHERE),
    "PoolError": _WRAPS,
    "EmptyPoolError": _CLIENT,
    "FullPoolError": _CLIENT,
    "ClosedPoolError": _CLIENT,
    "HostChangedError": _CLIENT,
    "ProxyError": phase(Fault.PROXY, Fault.TLS),
    "SSLError": _TLS,
    "ProtocolError": _WRAPS,
    "DecodeError": _CUT,
    "TimeoutError": _CUT,
    "ReadTimeoutError": _CUT,
    "ConnectTimeoutError": _CONNECTING._replace(context=True),
    "NewConnectionError": _CONNECTING._replace(context=True),
    "IncompleteRead": _CUT,
    "InvalidChunkLength": _CUT,
    "HeaderParsingError": _CUT,
    "ResponseError": _ANSWER,
    "RecoverableError": _CUT,
    "LocationValueError": _CLIENT,
    "ProxySchemeUnsupported": _CLIENT,
    "TimeoutStateError": _CLIENT,
    "UnrewindableBodyError": _CLIENT,
    "HTTPWarning": _ELSEWHERE,
}

# httpx, httpx2 and impit have their names from httpcore.
_HTTPX = {
    "HTTPError": _ELSEWHERE,
    "HTTPStatusError": _ANSWER,
    "RequestError": wraps(Fault.ELSEWHERE),
    "TransportError": _WRAPS,
    "TimeoutException": _CUT,
    "ConnectTimeout": _PROXY,
    "PoolTimeout": _CLIENT,
    "NetworkError": _WRAPS,
    "ConnectError": wraps(Fault.PROXY),
    "ProxyError": wraps(Fault.PROXY),
    "UnsupportedProtocol": _CLIENT,
    "ProtocolError": _WRAPS,
    "LocalProtocolError": _CLIENT,
    "RemoteProtocolError": _CUT,
    "DecodingError": _CUT,
    "TooManyRedirects": _ELSEWHERE,
    "InvalidURL": _CLIENT,
    "CookieConflict": _ELSEWHERE,
    "StreamError": _ELSEWHERE,
    "ConnectionNotAvailable": _CLIENT,
}

_AIOHTTP = {
    "ClientError": wraps(Fault.ELSEWHERE),
    # A status line that cannot be read is raised as a response with the status 400; the reason is inside.
    "ClientResponseError": wraps(Fault.ANSWER),
    "ClientHttpProxyError": wraps(Fault.CONNECT),
    "HttpProcessingError": _CUT,
    "ClientConnectionError": _WRAPS,
    "ClientProxyConnectionError": _CONNECTING,
    "ClientConnectorDNSError": _PROXY,
    "ClientSSLError": _TLS,
    "ServerFingerprintMismatch": _TLS,
    "ServerConnectionError": _CUT,
    "ClientPayloadError": _CUT,
    "InvalidURL": _CLIENT,
    "NonHttpUrlClientError": _CLIENT,
    "RedirectClientError": _ELSEWHERE,
    "InvalidUrlRedirectClientError": _ELSEWHERE,
    "NonHttpUrlRedirectClientError": _ELSEWHERE,
    "UnixClientConnectorError": _CLIENT,
}

_PYTHON_SOCKS = {
    "ProxyException": _PROXY,
    "ProxyError": _PROXY,
    "ReplyError": _PROXY,
}

# Judged by libcurl's number first; these are for exceptions without one.
_CURL_CFFI = {
    "CurlError": wraps(Fault.CUT),
    "HTTPError": _ANSWER,
    "RequestException": wraps(Fault.CUT),
    "TooManyRedirects": _ANSWER,
    "ProxyError": _PROXY,
    "SSLError": _TLS,
    "URLRequired": _CLIENT,
    "MissingSchema": _CLIENT,
    "InvalidSchema": _CLIENT,
    "InvalidURL": _CLIENT,
    "InvalidHeader": _CLIENT,
    "ImpersonateError": _CLIENT,
    "InterfaceError": _CLIENT,
    "SessionClosed": _CLIENT,
    "UnrewindableBodyError": _CLIENT,
    "StreamConsumedError": _ELSEWHERE,
    "InvalidJSONError": _ELSEWHERE,
    "CookieConflict": _ELSEWHERE,
}

_PRIMP = {
    "PrimpError": _ELSEWHERE,
    "StatusError": _ANSWER,
    "RequestError": _CUT,
    "ConnectError": _PROXY,
    "DNSError": _PROXY,
    "TimeoutError": _CUT,
    "BodyError": _CUT,
    "DecodeError": _CUT,
    "JSONDecodeError": _ELSEWHERE,
    "BuilderError": _CLIENT,
}

_PYREQWEST = {
    "PyreqwestError": _ELSEWHERE,
    "StatusError": _ANSWER,
    "RequestError": _CUT,
    "RedirectError": _ELSEWHERE,
    "PoolTimeoutError": _CLIENT,
    "JSONDecodeError": _ELSEWHERE,
    "BuilderError": _CLIENT,
    "ClientClosedError": _CLIENT,
    "RequestPanicError": _CLIENT,
}

# wreq's classes have no base in common, and say that their module is "exceptions".
_WREQ = {
    "StatusError": _ANSWER,
    "ProxyConnectionError": _PROXY,
    "ConnectionError": _CUT,
    "ConnectionResetError": _CUT,
    "TlsError": _TLS,
    "TimeoutError": _CUT,
    "RequestError": _CUT,
    "BodyError": _CUT,
    "DecodingError": _CUT,
    "WebSocketError": _CUT,
    "UpgradeError": _ELSEWHERE,
    "RedirectError": _ELSEWHERE,
    "BuilderError": _CLIENT,
    "RustPanic": _CLIENT,
}

# Judged by the browser's code in the message; without one it is about a page, not about the network.
_PLAYWRIGHT = {"Error": _ELSEWHERE}
_SELENIUM = {"WebDriverException": _ELSEWHERE}

_SCRAPY = {
    "TunnelError": flat(Fault.UNREACHED),
    "DownloadConnectionRefusedError": _PROXY,
    "CannotResolveHostError": _PROXY,
    "DownloadFailedError": _WRAPS,
    "DownloadTimeoutError": _CUT,
    "ResponseDataLossError": _CUT,
    "HttpError": _ANSWER,
    "UnsupportedURLSchemeError": _CLIENT,
    "NotSupported": _CLIENT,
    "NotConfigured": _ELSEWHERE,
    "IgnoreRequest": _ELSEWHERE,
    "CloseSpider": _ELSEWHERE,
    "DropItem": _ELSEWHERE,
    "StopDownload": _ELSEWHERE,
    "DownloadCancelledError": _ELSEWHERE,
}

_TWISTED = {
    "ConnectError": _PROXY,
    "DNSLookupError": _PROXY,
    "ConnectBindError": _CLIENT,
    "UserError": _CUT,
    "SSLError": _TLS,
    "VerifyError": _TLS,
    "CertificateError": _TLS,
    "ConnectionClosed": _CUT,
    "_WrapperException": _WRAPS,
    "_DataLoss": _CUT,
    "PotentialDataLoss": _CUT,
    "ParseError": _CUT,
    "ResponseDone": _ELSEWHERE,
    "Error": _ANSWER,
    "SchemeNotSupported": _CLIENT,
    "RequestGenerationFailed": _CLIENT,
    "BadHeaders": _CLIENT,
    "CancelledError": _ELSEWHERE,
    "ConnectingCancelledError": _ELSEWHERE,
}

_BUILTINS = {
    # By its number, where it has one.
    "OSError": wraps(Fault.ELSEWHERE),
    "ConnectionRefusedError": _PROXY,
    "ConnectionError": _CUT,
    "TimeoutError": _CUT,
    "BaseExceptionGroup": wraps(Fault.ELSEWHERE),
}

# By package, then by name of the class.
CLASSES: dict[str, dict[str, Row]] = {
    "requests": _REQUESTS,
    "niquests": _REQUESTS,
    "urllib3": _URLLIB3,
    "urllib3_future": _URLLIB3,
    "httpx": _HTTPX,
    "httpx2": _HTTPX,
    "httpcore": _HTTPX,
    "httpcore2": _HTTPX,
    "impit": _HTTPX,
    "aiohttp": _AIOHTTP,
    "aiohttp_socks": {
        "ProxyConnectionError": _CONNECTING,
        "ProxyTimeoutError": _PROXY,
        "ProxyError": wraps(Fault.PROXY),
    },
    "python_socks": _PYTHON_SOCKS,
    "httpx_socks": _PYTHON_SOCKS,
    "curl_cffi": _CURL_CFFI,
    "primp": _PRIMP,
    "pyreqwest": _PYREQWEST,
    "wreq": _WREQ,
    "playwright": _PLAYWRIGHT,
    "patchright": _PLAYWRIGHT,
    "selenium": _SELENIUM,
    "scrapy": _SCRAPY,
    "twisted": _TWISTED,
    # Below the clients: what some of them let through, and what others have as a cause.
    "socks": {
        "ProxyError": _PROXY,
        "GeneralProxyError": _CONNECTING,
        "ProxyConnectionError": _CONNECTING,
        "SOCKS5AuthError": _LOGIN,
    },
    "socksio": {"SOCKSError": _PROXY},
    "h11": {"RemoteProtocolError": _CUT, "LocalProtocolError": _CLIENT},
    "h2": {"ProtocolError": _CUT},
    "anyio": {"EndOfStream": _CUT, "BrokenResourceError": _CUT, "ClosedResourceError": _CUT},
    "trio": {"BrokenResourceError": wraps(Fault.CUT), "TooSlowError": _CUT},
    "OpenSSL": {"Error": _TLS},
    "exceptiongroup": {"BaseExceptionGroup": wraps(Fault.ELSEWHERE)},
    # The standard library.
    "builtins": _BUILTINS,
    "socket": {"gaierror": _PROXY, "herror": _PROXY, "timeout": _CUT},
    "ssl": {"SSLError": _TLS},
    "http": {
        "HTTPException": _CUT,
        "NotConnected": _CLIENT,
        "InvalidURL": _CLIENT,
        "UnknownProtocol": _CUT,
        "ImproperConnectionState": _CLIENT,
        # It is a ResponseNotReady's sibling only by name: the connection was closed before the answer.
        "RemoteDisconnected": _CUT,
    },
    "urllib": {"URLError": wraps(Fault.CLIENT), "HTTPError": _ANSWER, "ContentTooShortError": _CUT},
    "asyncio": {"TimeoutError": _CUT, "IncompleteReadError": _CUT, "LimitOverrunError": _CUT},
    "concurrent": {"TimeoutError": _CUT},
    "zlib": {"error": _CUT},
}
