"""How long a pool takes to be saved and loaded, and what a save in the background costs a selection.

python benches/python/keeping.py [--quick] [--json FILE]
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path

from harness import Cell, Table, hand_over, in_process, parser, publish, quiet_heap

from proxywhirl import ProxyPool, ProxyRotator, generate_encryption_key
from proxywhirl.storage._pool_file import PoolFile
from proxywhirl.storage._vault import Vault

SIZE = 100_000
FORMS = {
    "JSON": ("p.json", False, False),
    "JSON Lines": ("p.jsonl", False, False),
    "JSON, gzipped": ("p.json.gz", False, False),
    "JSON, with credentials": ("p.json", True, False),
    "JSON, with one login for all, encrypted": ("p.json", True, True),
}


def _pool(login: bool) -> ProxyPool:
    pool = ProxyPool(max_pool_size=SIZE)
    user = "user:secret@" if login else ""
    pool.add_many([f"http://{user}10.{n >> 16}.{n >> 8 & 255}.{n & 255}:8080" for n in range(SIZE)])
    return pool


def saved(form: str, quick: bool) -> list[float]:
    """Seconds to save and to load, the flush to the disk included.

    Args:
        form: A key of `FORMS`.
        quick: Fewer repetitions.

    Returns:
        The medians of saving, of saving again when nothing has changed, and of loading.
    """
    name, login, encrypted = FORMS[form]
    pool = _pool(login)
    key = generate_encryption_key() if encrypted else None
    times: list[list[float]] = [[], [], []]
    with tempfile.TemporaryDirectory(dir=".") as folder:
        file = PoolFile(Path(folder) / name, Vault(key))
        for _ in range(2 if quick else 5):
            begin = time.perf_counter()
            file.save(pool)
            times[0].append(time.perf_counter() - begin)
            begin = time.perf_counter()
            file.save(pool, only_changed=True)
            times[1].append(time.perf_counter() - begin)
            begin = time.perf_counter()
            loaded = ProxyPool.from_file(file.path, encryption_key=key)
            times[2].append(time.perf_counter() - begin)
            if len(loaded) != SIZE:
                raise RuntimeError("proxies were lost")
            del loaded
    return [statistics.median(part) for part in times]


def delayed(interval: float | None, quick: bool) -> list[float]:
    """Milliseconds for a lease taken and finished every fifth of a millisecond, by the wall clock.

    Args:
        interval: Seconds between saves in the background; `None` for none.
        quick: For a shorter time.

    Returns:
        The median, the 99.9th percentile, the worst but one in ten thousand, and the number of saves.
    """
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "p.json"
        rotator = ProxyRotator(storage_path=path, auto_save_interval=interval or 3600)
        rotator.pool.max_pool_size = SIZE
        for proxy in _pool(False).get_all_proxies():
            rotator.pool.add_proxy(proxy)
        times = []
        seen: set[int] = set()
        end = time.perf_counter() + (3 if quick else 10)
        while True:
            begin = time.perf_counter()
            with rotator.lease() as lease:
                lease.success(1.0)
            now = time.perf_counter()
            times.append((now - begin) * 1000)
            if now > end:
                break
            time.sleep(0.0002)
            if len(times) % 100 == 0 and path.exists():
                seen.add(os.stat(path).st_mtime_ns)
        rotator.close()
    # The first one makes what is made on first use.
    times = sorted(times[1:])
    count = len(times)
    return [times[count // 2], times[count * 999 // 1000], times[count * 9999 // 10000], float(len(seen))]


def tables(quick: bool) -> list[Table]:
    """All tables of this script."""
    flags = ["--quick"] if quick else []
    files = Table(
        f"{SIZE:,} proxies in a file",
        "s",
        ["save", "save, nothing changed", "load"],
        text="Wall clock. A save ends when the disk has everything; loading ends with a pool that can be chosen from.",
    )
    for form in FORMS:
        save, again, load = in_process(__file__, "--saved", form, *flags)
        files.add(form, Cell(save, 0.5), again, Cell(load, 0.5))
    delays = Table(
        f"Choosing while {SIZE:,} proxies are saved",
        "ms for a lease taken and finished",
        ["median", "99.9 %", "99.99 %", "saves seen"],
        text="Wall clock: what other programs do in the meantime counts, too, which the first line shows.",
    )
    for name, interval in (("no saves", 0.0), ("saves all the time", 0.05)):
        median, high, higher, count = in_process(__file__, "--delayed", interval, *flags)
        delays.add(name, median, Cell(high, 1.0) if interval else high, higher, count)
    return [files, delays]


def main() -> None:
    """Run from the command line."""
    command = parser(__doc__)
    command.add_argument("--saved", metavar="FORM", help="print one line as JSON")
    command.add_argument("--delayed", type=float, metavar="SECONDS", help="print one line as JSON")
    options = command.parse_args()
    warnings.simplefilter("ignore")
    quiet_heap()
    if options.saved:
        hand_over(saved(options.saved, options.quick))
    elif options.delayed is not None:
        hand_over(delayed(options.delayed or None, options.quick))
    else:
        publish(tables(options.quick), options)


if __name__ == "__main__":
    main()
