"""Damaged lists raise nothing but what is documented, whichever parser reads them.

The parsers share a bounded time: ``PROXYWHIRL_FUZZ_SECONDS``, from the seed ``PROXYWHIRL_FUZZ_SEED``.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

import pytest

from proxywhirl import ProxyPool, ProxyWhirlError
from proxywhirl.fetchers.parsers import (
    CSVParser,
    GeonodeParser,
    HTMLTableParser,
    JSONParser,
    PlainTextParser,
    TSVParser,
    deduplicate_proxies,
    parse_proxies,
)

CORPUS = [
    "1.2.3.4:80\n1.2.3.5:81:s3cret:b0b\n# c\nsocks5 1.2.3.6 1080 s3cret b0b\n1.2.3.7:80 - DE\n",
    "ip,port,user,pass\n1.2.3.4,80,s3cret,b0b\n1.2.3.5,81,,\n",
    "ip\tport\n1.2.3.4\t80\n",
    '[{"ip": "1.2.3.4", "port": 80, "auth": {"username": "s3cret", "password": "b0b"}}, "1.2.3.5:80"]',
    '{"data": [{"ip": "1.2.3.4", "port": "80", "protocols": ["http", "https", "vmess"]}]}',
    "<table><tr><th>IP<th>Port<tr><td>1.2.3.4<td>80</table><table><tr><td>1.2.3.5<td>81</table>",
    '[ProxyList]\nhttp 1.2.3.4 80\n\u00e9\n[http]\n"\u00e9',
]
PIECES = [
    '"',
    "\u00e9",
    "\n",
    "\r",
    "\0",
    "[",
    "{",
    "]",
    "}",
    ",",
    ":",
    "@",
    "<td>",
    "\t",
    "\ud7ff",
    "9" * 5000,
    "null",
    "1e999",
]
PARSERS: dict[str, Any] = {
    "plain": PlainTextParser().parse,
    "plain, strict": PlainTextParser(skip_invalid=False).parse,
    "json": JSONParser().parse,
    "json, key": JSONParser(key="data", required_fields=["ip"]).parse,
    "csv": CSVParser().parse,
    "csv, bare": CSVParser(has_header=False).parse,
    "csv, skip": CSVParser(skip_invalid=True).parse,
    "tsv": TSVParser().parse,
    "html": HTMLTableParser().parse,
    "html, map": HTMLTableParser("table tr", {"IP": "ip"}, {"port": 1}).parse,
    "geonode": GeonodeParser().parse,
    "any": parse_proxies,
    "pool": lambda text: ProxyPool(max_pool_size=10**6).load(text),
    "unique": lambda text: deduplicate_proxies(text.splitlines()),
}


def damaged(rng: random.Random) -> str:
    text = rng.choice(CORPUS)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(text) + 1)
        end = min(len(text), at + rng.randrange(1, 12))
        what = rng.randrange(4)
        if what == 0:
            text = text[:at] + text[end:]
        elif what == 1:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif what == 2:
            text = text[:at] + text[at:end] * rng.randrange(1, 40) + text[end:]
        else:
            text = text[:at] + rng.choice(CORPUS)[rng.randrange(20) :]
    return text


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_lists_raise_what_is_documented(name: str) -> None:
    seconds = float(os.environ.get("PROXYWHIRL_FUZZ_SECONDS", "4")) / len(PARSERS)
    seed = int(os.environ.get("PROXYWHIRL_FUZZ_SEED", "20261129"))
    rng = random.Random(f"{seed} {name}")
    end = time.monotonic() + seconds
    rounds = 0
    while rounds < 30 or time.monotonic() < end:
        text = damaged(rng)
        try:
            found = PARSERS[name](text)
        except ProxyWhirlError as error:
            assert "s3cret" not in str(error), (seed, rounds, text)
        else:
            rejected = getattr(found, "rejected", None) or getattr(found, "errors", None) or []
            assert "s3cret" not in repr(rejected), (seed, rounds, text)
        rounds += 1
