"""Records what h11 makes of answers, whole and damaged, for the test of our own reader against it.

Run by hand when the corpus or h11 changes: `python scripts/record_h11.py > tests/core/wire/h11.jsonl`.
"""

from __future__ import annotations

import json
import random
import sys

import h11

HEADS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 404\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 500 f\xfcr\r\n",
]
HEADERS = [
    b"",
    b"Server: x\r\nSet-Cookie: a=b; c\r\nset-cookie:d\r\n",
    b"Folded: a\r\n b\r\n\t c\r\nX-Empty:\r\n",
    b"Cookie: a\x01b\x7fc\xff\r\n",
    b"Blanks: \t a \t b \t \r\n",
]
FRAMES = [
    (b"Content-Length: 5\r\n\r\n", [b"hello"]),
    (b"content-length: 5, 5\nContent-Length:5\n\n", [b"hello"]),
    (b"Content-Length: 0\r\n\r\n", []),
    (b"\r\n", [b"until the end"]),
    (b"Transfer-Encoding: Chunked\r\n\r\n", [b"5\r\nhello\r\n", b'a;x="y"\r\n0123456789\r\n', b"0\r\n\r\n"]),
    (b"Transfer-Encoding: chunked\r\n\r\n", [b"003 \t\r\nabc\r\n", b"0\r\nTrailer: x\r\nOther: y\r\n z\r\n\r\n"]),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", [b"3\r\nabc\r\n0\r\n\r\n"]),
]
BYTES = b"\r\n\r\n :;,\t\x00\x0b\x0c\x01\xff059afgHT/."
TEXTS = [
    b"\r\n",
    b"\r\n ",
    b"\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n",
]


def mutate(rng: random.Random, answer: bytes) -> bytes:
    """Damage an answer in one to three places."""
    data = bytearray(answer)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        # The last lines are those that frame the body.
        at = rng.randrange(len(data) // 2 if rng.random() < 0.7 else 0, len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            data[at : at + 1] = bytes([rng.choice(BYTES)])
        elif kind == 1:
            data[at:at] = bytes([rng.choice(BYTES)])
        elif kind == 2:
            del data[at : at + rng.choice((1, 1, 2, 7))]
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            data[at:at] = rng.choice(TEXTS)
        else:
            data[at:at] = data[at : at + rng.randrange(1, 20)]
    return bytes(data)


def read(method: str, answer: bytes) -> dict[str, object]:
    """What httpcore's connection makes of it: the bytes come at once, and then the connection ends."""
    connection = h11.Connection(our_role=h11.CLIENT, max_incomplete_event_size=100 * 1024)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "shop.test")]))
    connection.send(h11.EndOfMessage())
    head: h11.Response | h11.InformationalResponse | None = None
    body = b""
    pieces = [answer, b""] if answer else [b""]
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                piece = pieces.pop(0)
                if not piece and connection.their_state is h11.SEND_RESPONSE:
                    raise h11.RemoteProtocolError("Server disconnected without sending a response.")
                connection.receive_data(piece)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    head = event
                    break
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                break
    except h11.RemoteProtocolError as error:
        # The bytes that it quotes are not part of our texts.
        return {"error": str(error).split(": bytearray")[0].split(" bytearray")[0]}
    assert head is not None
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in head.headers.raw_items()]
    done = connection.our_state is h11.DONE and connection.their_state is h11.DONE
    return {
        "status": head.status_code,
        "reason": head.reason.decode("latin-1"),
        "headers": headers,
        "body": body.decode("latin-1"),
        "kept": done and bool(pieces) and not connection.trailing_data[0],
    }


def main() -> None:
    """Record what h11 makes of answers."""
    rng = random.Random(11)
    whole = [
        head + headers + frame + b"".join(parts) for head in HEADS for headers in HEADERS for frame, parts in FRAMES
    ]
    rng.shuffle(whole)
    answers = whole[:40] + [mutate(rng, rng.choice(whole)) for _ in range(900)]
    for answer in dict.fromkeys(answers):
        method = "HEAD" if rng.random() < 0.1 else "GET"
        row = {"method": method, "answer": answer.decode("latin-1"), **read(method, answer)}
        sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
