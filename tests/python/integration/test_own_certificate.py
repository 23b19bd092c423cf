"""``cert=``: sites that ask for a certificate get it, with both engines; proxies do not."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxywhirl import AsyncProxyRotator, ProxyRotator, RetryPolicy, RotatingTransport
from proxywhirl._httpx.carrier import Carrier
from proxywhirl._httpx.native.sync import NativeCarrier

x509 = pytest.importorskip("cryptography.x509")
hashes = pytest.importorskip("cryptography.hazmat.primitives.hashes")
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")

ONCE = RetryPolicy(max_attempts=1)
PASSWORD = "open sesame"
NOW = dt.datetime(2024, 1, 1)
LATER = dt.datetime(2124, 1, 1)


class Files:
    """Certificates of an authority, of this machine and of a client."""

    def __init__(self, folder: Path) -> None:
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority = self._signed("authority", authority_key, "authority", authority_key, authority=True)
        self.authority = self._written(folder / "authority.pem", authority)
        self.server = self._pair(folder / "server.pem", "localhost", authority_key)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed("client", key, "authority", authority_key)
        self.both = self._written(folder / "client.pem", certificate, key)
        self.certificate = self._written(folder / "client.crt", certificate)
        self.key = self._written(folder / "client.key", key)
        self.locked = self._written(folder / "locked.key", key, password=PASSWORD)
        self.wrong = self._written(folder / "wrong.key", authority_key)

    def _pair(self, path: Path, name: str, signer: Any) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        return self._written(path, self._signed(name, key, "authority", signer), key)

    @staticmethod
    def _signed(name: str, key: Any, issuer: str, signer: Any, *, authority: bool = False) -> Any:
        def named(text: str) -> Any:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

        builder = x509.CertificateBuilder(
            issuer_name=named(issuer),
            subject_name=named(name),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=NOW,
            not_valid_after=LATER,
        )
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, hashes.SHA256())

    @staticmethod
    def _written(path: Path, *parts: Any, password: str | None = None) -> str:
        lock: Any = serialization.NoEncryption()
        if password is not None:
            lock = serialization.BestAvailableEncryption(password.encode())
        pem = serialization.Encoding.PEM
        with path.open("wb") as file:
            for part in parts:
                if hasattr(part, "private_bytes"):
                    file.write(part.private_bytes(pem, serialization.PrivateFormat.PKCS8, lock))
                else:
                    file.write(part.public_bytes(pem))
        return str(path)


class Server:
    """Speaks TLS, asks for a certificate and keeps the name in it; a site, or a proxy if it is asked to connect."""

    def __init__(self, files: Files) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files.server)
        self._context.load_verify_locations(files.authority)
        self._context.verify_mode = ssl.CERT_OPTIONAL
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.seen: list[str | None] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            connection,
            self._context.wrap_socket(connection, server_side=True) as stream,
        ):
            head = b""
            while b"\r\n\r\n" not in head:
                part = stream.recv(65536)
                if not part:
                    return
                head += part
            shown = stream.getpeercert()
            self.seen.append(dict(part[0] for part in shown["subject"])["commonName"] if shown else None)
            if head.startswith(b"CONNECT"):
                host, _, port = head.split(b" ")[1].decode().rpartition(":")
                with socket.create_connection((host, int(port))) as onward:
                    stream.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    threading.Thread(target=_pipe, args=(onward, stream), daemon=True).start()
                    _pipe(stream, onward)
            else:
                stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def _pipe(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError):
        while True:
            part = source.recv(65536)
            if not part:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(part)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def site(files: Files) -> Iterator[Server]:
    made = Server(files)
    yield made
    made.close()


@pytest.fixture
def proxy(files: Files) -> Iterator[Server]:
    made = Server(files)
    yield made
    made.close()


def get(kind: type[Any], url: str, **options: Any) -> httpx.Response:
    if kind is ProxyRotator:
        with ProxyRotator(retry_policy=ONCE, **options) as rotator:
            return rotator.get(url)

    async def run() -> httpx.Response:
        async with AsyncProxyRotator(retry_policy=ONCE, **options) as rotator:
            return await rotator.get(url)

    return asyncio.run(run())


@pytest.mark.parametrize("kind", [ProxyRotator, AsyncProxyRotator])
@pytest.mark.parametrize("engine", ["native", "httpx"])
def test_the_site_gets_it_and_the_proxy_does_not(
    kind: type[Any], engine: str, files: Files, site: Server, proxy: Server
) -> None:
    options: dict[str, Any] = {"proxies": [f"https://127.0.0.1:{proxy.port}"], "engine": engine}
    url = f"https://127.0.0.1:{site.port}/"
    for cert in (None, files.both, (files.certificate, files.key), (files.certificate, files.key, None)):
        assert get(kind, url, verify=files.authority, cert=cert, **options).text == "ok"
    assert get(kind, url, verify=False, cert=Path(files.both), **options).text == "ok"
    assert site.seen == [None, "client", "client", "client", "client"]
    assert proxy.seen == [None] * 5


def test_a_transport_takes_it(files: Files, site: Server, proxy: Server) -> None:
    transport = RotatingTransport([f"https://127.0.0.1:{proxy.port}"], verify=files.authority, cert=files.both)
    with httpx.Client(transport=transport) as client:
        client.get(f"https://127.0.0.1:{site.port}/")
    assert (site.seen, proxy.seen) == (["client"], [None])


def test_a_key_with_a_password_is_for_httpx(files: Files, site: Server, proxy: Server) -> None:
    cert = (files.certificate, files.locked, PASSWORD)
    options: dict[str, Any] = {"proxies": [f"https://127.0.0.1:{proxy.port}"], "engine": "native"}
    with ProxyRotator(verify=files.authority, cert=cert, **options) as rotator:
        assert type(rotator._transport.carrier) is Carrier
        rotator.get(f"https://127.0.0.1:{site.port}/")
    assert site.seen == ["client"]
    with ProxyRotator(cert=files.both, **options) as rotator:
        assert type(rotator._transport.carrier) is NativeCarrier


@pytest.mark.parametrize("engine", ["native", "httpx"])
def test_what_is_no_certificate(engine: str, files: Files) -> None:
    wrong: list[Any] = [
        (files.certificate, files.wrong),
        files.certificate,
        files.key,
        (files.certificate, files.locked),
    ]
    if engine == "httpx":
        wrong.append((files.certificate, files.locked, "wrong"))
    for cert in wrong:
        rotator = ProxyRotator(proxies=["http://127.0.0.1:9"], cert=cert, engine=engine, retry_policy=ONCE)
        with rotator, pytest.raises(ValueError, match="cert= is no certificate with its private key"):
            rotator.get("https://shop.test/")


def test_a_context_has_its_own(files: Files) -> None:
    with pytest.raises(ValueError, match="load the certificate into the context"):
        RotatingTransport(["http://proxy.test:8080"], verify=ssl.create_default_context(), cert=files.both)
