"""A stream that comes in pieces: what each piece brought, and what it cost to take it in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..codec.protocol import Decoded, ProgressiveCodec

if TYPE_CHECKING:
    from torch import Tensor


def arrivals(codec: ProgressiveCodec, stream: bytes, chunks: int = 12) -> tuple[pd.DataFrame, Tensor]:
    """Feed ``stream`` in ``chunks`` about equal pieces to a receiver that shows a picture after each.

    Returns a table, one row a piece (bytes so far, level, symbols so far and new, milliseconds from bytes to picture),
    and the last picture. A codec without a ``decoder()`` decodes each prefix from its beginning.
    """
    rows, before = [], 0
    for end, decoded, seconds in _fed(codec, stream, chunks):
        rows.append((end, decoded.level, decoded.symbols, decoded.symbols - before, round(1000 * seconds, 1)))
        before = decoded.symbols
    return pd.DataFrame(rows, columns=["bytes", "level", "symbols", "new_symbols", "ms"]), decoded.image


def _fed(codec: Any, stream: bytes, chunks: int) -> Iterator[tuple[int, Decoded, float]]:
    decoder = codec.decoder() if hasattr(codec, "decoder") else None
    begin = 0
    for number in range(1, chunks + 1):
        end, started = len(stream) * number // chunks, time.perf_counter()
        if decoder is not None:
            decoded = decoder.feed(stream[begin:end]).picture()
        else:
            decoded = codec.decode(stream[:end])
        yield end, decoded, time.perf_counter() - started
        begin = end
