"""What the last bytes buy, and when the machine knew: against what can be counted by hand."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from codec_toys import toy_codec
from views_toys import ByColour, Pyramid, hierarchy, picture

from hierlib.errors import BudgetError, DataError
from hierlib.images.shapes import shapes
from hierlib.views.bought import bought, bought_box, bought_figure
from hierlib.views.known import known, known_of_ladders
from hierlib.views.ladder import climb
from hierlib.views.latents import arrival_maps, received_whole


def test_what_the_last_bytes_bring_adds_up_to_the_whole() -> None:
    codec = toy_codec()
    stream = codec.encode(shapes(1)[0])
    step = len(stream) // 4
    parts = [bought(codec, stream, hierarchy(), ByColour(), n=n, last=step) for n in range(step, len(stream), step)]
    assert all(part.high - part.low == step for part in parts)
    came = sum(part.new.sum() for part in parts)
    assert came == codec.decode(stream[: parts[-1].high]).symbols > 0
    assert all((part.new >= 0).all() for part in parts)
    whole = bought(codec, stream, hierarchy(), ByColour(), n=len(stream), last=len(stream))
    assert whole.latents()["new_latents"].sum() == codec.decode(stream).symbols
    assert arrival_maps(received_whole(codec, stream), [len(stream)])[0].min() == 1


def test_log_odds_are_those_of_the_answer_at_the_end() -> None:
    stream = Pyramid().encode(picture("red"))
    found = bought(Pyramid(), stream, hierarchy(), ByColour(), n=5, last=3)  # grey, then the mean colour
    before, after = (Pyramid().decode(stream[:n]).image for n in (2, 5))
    p = [ByColour()(x[None]).softmax(-1)[0, 0].item() for x in (before, after)]
    assert found.minds[1].after == "red"
    expected = math.log(p[1] / (1 - p[1])) - math.log(p[0] / (1 - p[0]))
    assert found.minds[1].change == pytest.approx(expected, abs=1e-3)
    assert found.new is None
    assert found.latents().empty
    assert found.table()["log-odds, nats"].iloc[1] == pytest.approx(expected, abs=0.01)
    assert torch.allclose(found.difference, (0.5 + 4 * (after - before)).clamp(0, 1))
    assert bought_figure(found).axes


def test_bytes_that_do_not_exist_buy_nothing() -> None:
    stream = Pyramid().encode(picture("red"))
    with pytest.raises(BudgetError, match=f"0 to {len(stream):,}"):
        bought(Pyramid(), stream, hierarchy(), ByColour(), n=len(stream) + 1)
    with pytest.raises(BudgetError, match="1 or more"):
        bought(Pyramid(), stream, hierarchy(), ByColour(), n=5, last=0)


def test_the_live_box_follows_what_is_typed() -> None:
    stream = Pyramid().encode(picture("red"))
    box = bought_box(Pyramid(), stream, hierarchy(), ByColour(), n=100)
    assert box.pending.wait(20)
    box.children[0].children[0].value = 300
    assert box.pending.wait(20)
    assert "Bytes 200 to 300" in box.children[2].value


SETTLED = {"coarse": {0: 10.0, 1: 20.0, 2: 40.0, 3: math.nan}, "fine": {0: 40.0, 1: math.nan, 2: math.nan, 3: math.nan}}


def test_every_picture_is_behind_exactly_one_step_of_each_level() -> None:
    images = {i: torch.rand(3, 8, 8) for i in range(4)}
    page = known(SETTLED, ["a", "b", "<c>", "d"], images).html
    lists = re.findall(r'<div class="kn-list" data-of="(\w+)-(\d)-(\d+)">(.*?)</div>', page)
    for level in ("0", "1"):
        shown = [p for _, of, _, body in lists if of == level for p in re.findall(r"kn-picture p(\d)", body)]
        assert sorted(shown) == ["0", "1", "2", "3"]
    assert "<c>" not in page
    assert len(set(re.findall(r'<input type="radio" name="\w+" id="([^"]+)"', page))) == len(lists)
    assert "<script" not in page


def test_the_share_is_what_survival_says() -> None:
    page = known(SETTLED, list("abcd"), {}).html
    by_edge = {int(b): int(s) for b, s in re.findall(r"coarse, [\d,]+ to ([\d,]+) B: \d+ pictures, (\d+)% known", page)}
    for edge, share in by_edge.items():
        assert share == round(100 * np.mean([b <= edge for b in (10, 20, 40, math.nan)]))
    assert max(by_edge.values()) == 75


def test_two_panels_of_one_page_do_not_share_names():
    one, other = (known(SETTLED, names, {0: torch.zeros(3, 8, 8)}).html for names in (list("abcd"), list("efgh")))
    names = [set(re.findall(r"known\w+", page)) for page in (one, other)]
    assert names[0].isdisjoint(names[1])
    assert known(SETTLED, list("abcd"), {0: torch.zeros(3, 8, 8)}).html == one


def test_ladders_without_truth_have_no_survival() -> None:
    ladder = climb(Pyramid(), picture("red"), hierarchy(), ByColour(), budgets=[5, 4097])
    with pytest.raises(DataError, match="classes"):
        known_of_ladders([ladder])
    right = climb(Pyramid(), picture("red"), hierarchy(), ByColour(), wnid="red", budgets=[5, 4097])
    assert "picture: red" in known_of_ladders([right]).html
