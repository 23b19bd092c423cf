"""Real proxies and a real web server: squid, tinyproxy, microsocks, dante and nginx, as Debian packages them.

Each is started once for a file of tests, on a free loopback port and with a configuration of its own. A test is skipped
only where the program is not installed; `.ci/run` installs them.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import PASSWORD, USER, Programs, free_port, program


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that others may read and write: squid gives up root before it opens its files."""
    with tempfile.TemporaryDirectory(prefix="proxywhirl-") as name:
        made = Path(name)
        made.chmod(0o777)
        yield made


@pytest.fixture(scope="module")
def programs(folder: Path) -> Iterator[Programs]:
    running = Programs(folder)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, which is its own authority, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        program("openssl"),
        *["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
    ]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"]
    subprocess.run([*command, *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    key.chmod(0o644)
    return cert, key


@pytest.fixture(scope="module")
def squid(folder: Path, programs: Programs, certificate: tuple[Path, Path]) -> dict[str, str]:
    """Squid, which wants a login, over TCP and over TLS."""
    command = program("squid")
    plain, secure = free_port(), free_port()
    users = folder / "users"
    hashed = subprocess.run([program("openssl"), "passwd", "-apr1", PASSWORD], check=True, capture_output=True)
    users.write_text(f"{USER}:{hashed.stdout.decode().strip()}\n")
    users.chmod(0o644)
    helper = "/usr/lib/squid/basic_ncsa_auth"
    config = folder / "squid.conf"
    config.write_text(
        f"""
        http_port 127.0.0.1:{plain}
        https_port 127.0.0.1:{secure} tls-cert={certificate[0]} tls-key={certificate[1]}
        auth_param basic program {helper} {users}
        auth_param basic children 1 startup=1
        auth_param basic realm test
        acl known proxy_auth REQUIRED
        http_access allow known
        http_access deny all
        cache deny all
        access_log none
        cache_log {folder}/cache.log
        cache_store_log none
        pid_filename {folder}/squid.pid
        coredump_dir {folder}
        pinger_enable off
        shutdown_lifetime 0 seconds
        """
    )
    programs.start([command, "-N", "-f", str(config)], plain)
    return {"http": f"127.0.0.1:{plain}", "https": f"localhost:{secure}"}


@pytest.fixture(scope="module")
def tinyproxy(folder: Path, programs: Programs) -> str:
    command = program("tinyproxy")
    port = free_port()
    config = folder / "tinyproxy.conf"
    config.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\n"
        f'LogFile "{folder}/tinyproxy.log"\nPidFile "{folder}/tinyproxy.pid"\n'
    )
    programs.start([command, "-d", "-c", str(config)], port)
    return f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def microsocks(programs: Programs) -> dict[str, str]:
    """Microsocks, which wants a login or not."""
    command = program("microsocks")
    free, locked = free_port(), free_port()
    programs.start([command, "-i", "127.0.0.1", "-p", str(free)], free)
    programs.start([command, "-i", "127.0.0.1", "-p", str(locked), "-u", USER, "-P", PASSWORD], locked)
    return {"open": f"127.0.0.1:{free}", "locked": f"127.0.0.1:{locked}"}


@pytest.fixture(scope="module")
def dante(folder: Path, programs: Programs) -> str:
    command = program("danted")
    port = free_port()
    config = folder / "danted.conf"
    config.write_text(
        f"""
        errorlog: {folder}/danted.errors
        logoutput: {folder}/danted.log
        internal: 127.0.0.1 port = {port}
        external: 127.0.0.1
        socksmethod: none
        clientmethod: none
        user.privileged: root
        user.unprivileged: nobody
        client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
        socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
        """
    )
    programs.start([command, "-f", str(config), "-p", str(folder / "danted.pid")], port)
    return f"127.0.0.1:{port}"


@pytest.fixture(scope="module")
def nginx(folder: Path, programs: Programs, certificate: tuple[Path, Path]) -> dict[str, str]:
    """A web server: the bases of its URLs, ``http``, ``https`` and ``short``.

    With TLS it speaks HTTP/2 to clients that ask for it. ``short`` has TLS and ends connections after twelve requests.
    """
    command = program("nginx")
    plain, secure, short = free_port(), free_port(), free_port()
    pages = folder / "pages"
    pages.mkdir()
    (pages / "text.txt").write_text("Ein schöner Text über nichts.\n" * 400, encoding="utf-8")
    (pages / "small.json").write_text('{"a": [1, null]}')
    (pages / "empty.txt").write_text("")
    (pages / "large.bin").write_bytes(bytes(range(256)) * 80_000)
    (pages / "numbers.bin").write_bytes(b"0123456789")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi"))
    locations = f"""
        root {pages};
        charset utf-8;
        gzip on;
        gzip_min_length 20;
        gzip_proxied any;
        gzip_types text/plain application/json;
        location / {{ }}
        location /closing/ {{ alias {pages}/; keepalive_timeout 0; }}
        location /slow/ {{ alias {pages}/; limit_rate 40k; gzip off; }}
        location /moved {{ return 301 /text.txt; }}
        location /loop {{ return 302 /loop; }}
        location /nothing {{ return 204; }}
        location /teapot {{ return 418 "tea"; }}
        location /hangs-up {{ return 444; }}
        location /small-only {{ client_max_body_size 10; proxy_pass http://127.0.0.1:{plain}/nothing; }}
        location /login {{ auth_basic "pages"; auth_basic_user_file {folder}/logins; }}
    """
    (folder / "logins").write_text("user:{PLAIN}pass\n")
    config = folder / "nginx.conf"
    config.write_text(
        f"""
        daemon off;
        master_process off;
        pid {folder}/nginx.pid;
        error_log {folder}/nginx.log;
        events {{ worker_connections 256; }}
        http {{
            access_log off;
            {temporary}
            scgi_temp_path {folder}/scgi;
            types {{ text/plain txt; application/json json; }}
            default_type application/octet-stream;
            server {{ listen 127.0.0.1:{plain}; keepalive_requests 7; {locations} }}
            ssl_certificate {certificate[0]};
            ssl_certificate_key {certificate[1]};
            server {{ listen 127.0.0.1:{secure} ssl http2; {locations} }}
            server {{ listen 127.0.0.1:{short} ssl http2; keepalive_requests 12; {locations} }}
        }}
        """
    )
    programs.start([command, "-c", str(config), "-e", str(folder / "nginx.log")], plain)
    return {
        "http": f"http://localhost:{plain}",
        "https": f"https://localhost:{secure}",
        "short": f"https://localhost:{short}",
    }
