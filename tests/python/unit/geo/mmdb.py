"""A writer of tiny databases in MaxMind's format, version 2.0, as its specification describes them."""

from __future__ import annotations

import struct
from ipaddress import ip_network
from typing import Any

_SEPARATOR = b"\x00" * 16
_MARKER = b"\xab\xcd\xefMaxMind.com"


def _head(kind: int, size: int) -> bytes:
    if size >= 29 + 256:
        first, rest = 30, (size - 285).to_bytes(2, "big")
    elif size >= 29:
        first, rest = 29, bytes([size - 29])
    else:
        first, rest = size, b""
    if kind <= 7:
        return bytes([kind << 5 | first]) + rest
    return bytes([first, kind - 7]) + rest


# Readers insist on the kinds that the specification gives to the numbers of the metadata.
_KINDS = {
    "record_size": 5,
    "ip_version": 5,
    "binary_format_major_version": 5,
    "binary_format_minor_version": 5,
    "build_epoch": 9,
}


def encode(value: Any, kind: int = 6) -> bytes:
    """One value of the data section; ``kind`` is that of a whole number."""
    if isinstance(value, str):
        data = value.encode()
        return _head(2, len(data)) + data
    if isinstance(value, float):
        return _head(3, 8) + struct.pack(">d", value)
    if isinstance(value, int):
        data = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return _head(kind, len(data)) + data
    if isinstance(value, dict):
        return _head(7, len(value)) + b"".join(
            encode(key) + encode(item, _KINDS.get(key, 6)) for key, item in value.items()
        )
    assert isinstance(value, list)
    return _head(11, len(value)) + b"".join(map(encode, value))


def database(records: dict[str, Any], version: int = 6) -> bytes:
    """A database that knows these networks. In one of version 6, IPv4 lies below ``::/96``."""
    nodes: list[list[int | None]] = [[None, None]]
    ends: list[tuple[int, int, int]] = []
    data = b""
    for network, record in records.items():
        net = ip_network(network)
        bits, length = int(net.network_address), net.prefixlen
        width = 128 if version == 6 else 32
        if version == 6 and net.version == 4:
            length += 96
        at = 0
        for depth in range(length):
            side = bits >> (width - 1 - depth) & 1
            if depth == length - 1:
                ends.append((at, side, len(data)))
                break
            following = nodes[at][side]
            if following is None:
                following = nodes[at][side] = len(nodes)
                nodes.append([None, None])
            at = following
        data += encode(record)
    count = len(nodes)
    for at, side, offset in ends:
        nodes[at][side] = count + 16 + offset
    tree = b"".join((count if side is None else side).to_bytes(3, "big") for node in nodes for side in node)
    metadata = {
        "node_count": count,
        "record_size": 24,
        "ip_version": version,
        "database_type": "Tiny",
        "languages": ["en"],
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": 1_700_000_000,
        "description": {"en": "tiny"},
    }
    return tree + _SEPARATOR + data + _MARKER + encode(metadata)
