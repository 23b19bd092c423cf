//! Answers that the proxy gives itself.

/// A captcha page, as a site shows it to a proxy that it has seen too often.
pub(crate) const CAPTCHA: &str = "<!doctype html><html><head><title>Are you human?</title></head>\
<body><h1>Please complete the captcha</h1><p>Unusual traffic from your network.</p>\
<form><div class=\"g-recaptcha\"></div></form></body></html>\n";

/// Appends a whole response.
pub(crate) fn write(out: &mut Vec<u8>, status: u16, keep_alive: bool) {
    let (extra, kind, body) = match status {
        407 => (
            "Proxy-Authenticate: Basic realm=\"fleet\", charset=\"UTF-8\"\r\n",
            "text/plain",
            "this proxy wants a login\n",
        ),
        403 => ("", "text/html", CAPTCHA),
        429 => ("Retry-After: 1\r\n", "text/plain", "too many requests\n"),
        400 => ("", "text/plain", "a proxy wants a whole URL or CONNECT\n"),
        502 => ("", "text/plain", "no way to the destination\n"),
        _ => ("", "text/plain", "the proxy cannot do this\n"),
    };
    let connection = if keep_alive { "" } else { "Connection: close\r\n" };
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\n{extra}{connection}\r\n",
        reason(status),
        body.len(),
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body.as_bytes());
}

/// The reason phrase of a status.
pub(crate) fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        418 => "I'm a teapot",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
