"""What pieces of a stream bring, for a codec with a receiver and for one that starts over each time."""

from __future__ import annotations

import pytest
import torch
from codec_toys import toy_codec

from hierlib.images.pictures import demonstration
from hierlib.images.shapes import shapes
from hierlib.views.arrivals import arrivals


@pytest.mark.parametrize("classical", [False, True])
def test_pieces_add_up_to_the_whole(classical: bool) -> None:
    from hierlib.baselines import load

    codec = load("jpeg2000") if classical else toy_codec()
    stream = codec.encode(demonstration(64)["coffee"] if classical else shapes(1)[0])
    table, last = arrivals(codec, stream, 7)
    assert table["bytes"].iloc[-1] == len(stream)
    assert len(table) == 7
    whole = codec.decode(stream)
    assert torch.equal(last, whole.image)
    assert table["new_symbols"].sum() == table["symbols"].iloc[-1] == whole.symbols
    assert (table["new_symbols"] >= 0).all()
