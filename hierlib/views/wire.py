"""A real socket: one side sends a stream, the other shows what it knows and hangs up when that is enough.

TCP on loopback unless a host is named. The receiver closes the connection to stop; the sender then says how much it
had to send. What is sent is the stream and nothing else, so any prefix of what came is a file.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from ..errors import HierlibError

LOOPBACK = "127.0.0.1"
PIECE_BYTES = 64
PATIENCE_S = 30.0


class LinkError(HierlibError):
    """Nobody at the other end, or a port that is taken."""


def send(
    stream: bytes,
    port: int,
    host: str = LOOPBACK,
    *,
    bytes_per_s: float | None = None,
    patience_s: float = PATIENCE_S,
) -> int:
    """Send ``stream`` to who listens at ``port``; returns how many bytes were sent until the other side had enough.

    bytes_per_s: bandwidth to keep to, all that goes if None. Waits ``patience_s`` for the other side to listen.
    Raises LinkError where nobody does.
    """
    with _connected(host, port, patience_s) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began, sent = time.monotonic(), 0
        for start in range(0, len(stream), PIECE_BYTES):
            piece = stream[start : start + PIECE_BYTES]
            if bytes_per_s:
                time.sleep(max(0.0, (sent + len(piece)) / bytes_per_s - (time.monotonic() - began)))
            if _hung_up(wire):
                return sent
            try:
                wire.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                return sent
            sent += len(piece)
        return sent


def _connected(host: str, port: int, patience_s: float) -> socket.socket:
    """A connection to who listens, tried until patience ends."""
    until = time.monotonic() + patience_s
    while (wire := _tried(host, port, patience_s)) is None:
        if time.monotonic() > until:
            raise LinkError(
                f"Nobody listens at {host}:{port}: start `python -m hierlib receive --port {port}` there first."
            )
        time.sleep(0.1)
    return wire


def _tried(host: str, port: int, patience_s: float) -> socket.socket | None:
    try:
        return socket.create_connection((host, port), timeout=patience_s)
    except OSError:
        return None


def _hung_up(wire: socket.socket) -> bool:
    """Whether the other side has closed: it never writes, so anything to read is the end."""
    wire.setblocking(False)
    try:
        return wire.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        wire.setblocking(True)


def listen(port: int, host: str = LOOPBACK, *, patience_s: float = PATIENCE_S) -> Iterator[tuple[float, bytes]]:
    """Pieces of the one stream that comes to ``port``, each with the seconds since the connection was made.

    Leaving the loop hangs up, which stops the sender. Raises LinkError where the port is taken, or nobody comes within
    ``patience_s``, or nothing more does.
    """
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, port))
        except OSError as error:
            raise LinkError(f"Port {port} cannot be listened to ({error.strerror}): name another.") from None
        server.listen(1)
        server.settimeout(patience_s)
        try:
            wire, _ = server.accept()
        except TimeoutError:
            raise LinkError(
                f"Nobody sent anything to port {port} within {patience_s:.0f} s: start `python -m hierlib send FILE "
                f"--port {port}`."
            ) from None
        began = time.monotonic()
        with wire:
            wire.settimeout(patience_s)
            while True:
                try:
                    piece = wire.recv(PIECE_BYTES)
                except (TimeoutError, ConnectionResetError):
                    return  # an outage that does not end: what came is what there is
                if not piece:
                    return
                yield time.monotonic() - began, piece
