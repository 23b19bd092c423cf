"""Programs that others wrote, started by tests on ports of their own and ended by their process ids."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

__all__ = ["PASSWORD", "USER", "Programs", "free_port", "program"]

USER, PASSWORD = "user@home", "p:ss/w%rd"

_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PACKAGES = "squid tinyproxy microsocks dante-server nginx-light openssl"
# Below those that the system hands out: a port that was free is not given to another test meanwhile.
_PORTS = range(20_000, 32_000)


def program(name: str) -> str:
    """The path of a program; the test is skipped where it is not installed."""
    found = shutil.which(name, path=_PLACES)
    if found is None:
        pytest.skip(f"{name} is not installed (apt-get install {_PACKAGES})")
    return found


def free_port() -> int:
    """A port on which nothing listens."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class Programs:
    """Programs that run until :meth:`stop`.

    Args:
        folder: Where their output goes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, command: list[str], port: int) -> None:
        """Start one, and wait until its port answers."""
        log = self._folder / f"output-{port}"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        self._running.append(process)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                return
            except OSError:
                if process.poll() is not None:
                    pytest.fail(f"{command[0]} ended with {process.returncode}: {log.read_text()[-2000:]}")
                if time.monotonic() > deadline:
                    pytest.fail(f"{command[0]} did not open port {port} within 20 s")
                time.sleep(0.05)

    def stop(self) -> None:
        """End all of them."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
