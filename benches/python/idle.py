"""The process that `memory.py` looks at for idle connections; alone, so that it holds what a program's would.

python benches/python/idle.py URLS PAGE CA

It asks for a page through each proxy and prints what was resident before and after, as JSON.
"""

from __future__ import annotations

import gc
import os
import sys


def resident() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run from the command line: the proxies with spaces between them, what is asked for, certificates accepted."""
    urls, page, authority = sys.argv[1:]
    proxies = urls.split()
    bare = resident()
    import httpx  # noqa: F401 - for its memory

    with_httpx = resident()
    from proxywhirl import ProxyRotator

    rotator = ProxyRotator(proxies=proxies[:3], verify=authority, engine="native")
    for _ in range(6):
        rotator.get(page)
    first = resident()
    for url in proxies[3:]:
        rotator.add_proxy(url)
    before = resident()
    for _ in proxies:
        rotator.get(page)
    _, kept = rotator._transport.carrier._wire.counts()
    after = resident()

    import json

    mebi = {"bare": bare, "httpx": with_httpx, "first": first, "all": after}
    found = {name: value / 2**20 for name, value in mebi.items()}
    print(json.dumps({**found, "each": (after - before) / (kept - 3) / 1024, "kept": kept}))


if __name__ == "__main__":
    main()
