import json
from itertools import pairwise

import pytest
import torch
from codec_toys import toy_codec
from views_toys import COLOURS, SIDES, ByColour, Pyramid, hierarchy, picture

from hierlib.errors import BudgetError, HierarchyError
from hierlib.evaluation.confidence import Confidence, Curve
from hierlib.images.shapes import shapes
from hierlib.views.ladder import climb, geometric_budgets, save_ladders

ENDS = (2 + 3 * 5, 2 + 3 * 85, 2 + 3 * 1365)  # by hand: 1+4, +16+64, +256+1024 pixels of 3 bytes behind 2 of header


@pytest.fixture(scope="module")
def ladder():
    return climb(Pyramid(), picture("red"), hierarchy(), ByColour(), picture="a red one", wnid="red", rungs=20)


def test_budgets_rise_geometrically_from_nothing_to_the_whole_file_through_every_end():
    budgets = geometric_budgets(4000, 24, (100, 1000, 4000))
    assert budgets[0] == 0
    assert budgets[-1] == 4000
    assert {100, 1000} <= set(budgets)
    assert list(budgets) == sorted(set(budgets))
    assert 22 <= len(budgets) <= 27
    ratios = [b / a for a, b in pairwise(budgets[3:])]
    assert max(ratios) < 1.4
    assert geometric_budgets(0, 24) == (0,)
    assert geometric_budgets(5, 24) == (0, 5)


def test_each_rung_is_the_codecs_own_answer_to_that_prefix(ladder):
    codec = Pyramid()
    assert ladder.ends == ENDS
    assert set(ENDS) <= set(ladder.budgets)
    for rung in ladder.rungs[2:]:
        alone = codec.decode(ladder.stream[: rung.bytes])
        assert torch.equal(rung.decoded.image, alone.image)
        assert rung.decoded.level == sum(end <= rung.bytes for end in ENDS)
        assert rung.bpp == pytest.approx(8 * rung.bytes / 64**2)
    assert all(rung.decoded.image.shape == (3, 64, 64) for rung in ladder.rungs)


def test_crumbs_are_summed_probabilities_and_tick_what_is_right(ladder):
    last = ladder.rungs[-1]
    p = ByColour()(last.decoded.image[None]).softmax(-1)[0]
    assert [crumb.name for crumb in last.crumbs] == ["warm", "red"]
    assert last.crumbs[0].probability == pytest.approx(float(p[:2].sum()), abs=1e-5)
    assert last.crumbs[1].probability == pytest.approx(float(p[0]), abs=1e-5)
    assert [crumb.right for crumb in last.crumbs] == [True, True]
    assert ladder.truth == ("warm", "red")
    wrong = climb(Pyramid(), picture("red"), hierarchy(), ByColour(), wnid="orange", budgets=[4097])
    assert [crumb.right for crumb in wrong.rungs[0].crumbs] == [True, False]
    unknown = climb(Pyramid(), picture("red"), hierarchy(), ByColour(), wnid="n00000000", budgets=[4097])
    assert unknown.truth == ()
    assert [crumb.right for crumb in unknown.rungs[0].crumbs] == [None, None]


def test_known_after_is_where_the_answer_stops_changing_its_mind(ladder):
    first = 2 + 3  # the 1x1 thumbnail is the mean colour, which is all that the classifier looks at
    assert first <= ladder.known_after(1) <= min(b for b in ladder.budgets if b >= first)
    wrong = climb(Pyramid(), picture("blue"), hierarchy(), ByColour(), wnid="red")
    assert wrong.known_after(0) is None


def test_a_header_that_is_not_complete_still_gives_a_picture_of_the_right_size():
    image = picture("cyan", size=50)
    ladder = climb(Pyramid(), image, hierarchy(), ByColour(), budgets=[0, 1, 2])
    assert [tuple(rung.decoded.image.shape) for rung in ladder.rungs] == [(3, 50, 50)] * 3
    assert all(bool((rung.decoded.image == 0.5).all()) for rung in ladder.rungs)


def test_a_codec_that_decodes_cuts_together_is_asked_to():
    class Together(Pyramid):
        def decode_cuts(self, stream, cuts):
            self.asked = list(cuts)
            return [Pyramid.decode(self, stream[:n]) for n in cuts]

    codec = Together()
    ladder = climb(codec, picture("red"), hierarchy(), ByColour(), rungs=9)
    assert codec.asked == list(ladder.budgets)


def test_at_and_pick(ladder):
    assert ladder.at(300).bytes == max(b for b in ladder.budgets if b <= 300)
    assert ladder.at(10**9) is ladder.rungs[-1]
    picked = ladder.pick(5)
    assert len(picked) == 5
    assert picked[0] is ladder.rungs[0]
    assert picked[-1] is ladder.rungs[-1]
    with pytest.raises(BudgetError, match="-1 bytes"):
        ladder.at(-1)


def test_confidence_is_calibrated_where_it_was_measured_and_left_alone_on_demand():
    half = Curve((0.0, 0.0, 0.0), (1e-3, 100.0))  # whatever is said, it is right every other time
    measured = Confidence(("family", "colour"), (half, half), 10, 64**2, "somewhere")
    ladder = climb(Pyramid(), picture("red"), hierarchy(), ByColour(), budgets=[4097], confidence=measured)
    assert [crumb.sure for crumb in ladder.rungs[0].crumbs] == [0.5, 0.5]
    assert ladder.rungs[0].crumbs[0].probability > 0.9
    assert "somewhere, 64x64" in ladder.confidence
    assert ladder.as_dict()["rungs"][0]["crumbs"][0][1] == 0.5
    for plain in (None, False):
        raw = climb(Pyramid(), picture("red"), hierarchy(), ByColour(), budgets=[4097], confidence=plain)
        assert raw.rungs[0].crumbs[0].calibrated is None
        assert raw.confidence == ""


def test_arrived_latents_are_those_that_the_receiver_counts():
    codec = toy_codec()
    ladder = climb(codec, shapes(1)[0], hierarchy(), ByColour(), rungs=10)
    for rung in ladder.rungs:
        channels = [24, 16, 16]
        count = sum(share.sum() * c for share, c in zip(rung.arrived, channels))
        assert count == pytest.approx(rung.decoded.symbols)
    assert ladder.rungs[-1].arrived.min() == 1
    assert sum(size for _, size in ladder.parts) == len(ladder.stream)
    assert [name for name, _ in ladder.parts] == ["header", "z", "block 1", "block 2", "block 3", "trailer"]
    for rung, alone in zip(ladder.rungs, codec.decode_cuts(ladder.stream, ladder.budgets)):
        assert rung.decoded.level == alone.level
        assert rung.decoded.bytes_used == alone.bytes_used


def test_the_table_has_a_row_a_rung(ladder):
    table = ladder.table()
    assert list(table["bytes"]) == list(ladder.budgets)
    assert table["colour"].iloc[-1].startswith("red ")
    assert table["colour"].iloc[-1].endswith("✓")


def test_saved_ladders_are_json_with_frames_inside(ladder, tmp_path):
    path = save_ladders(tmp_path, "red", [ladder, ladder])
    assert path == tmp_path / "ladders" / "red.json"
    first = json.loads(path.read_text())["ladders"][0]
    assert first["size_bytes"] == 2 + 3 * sum(s * s for s in SIDES)
    assert [rung["bytes"] for rung in first["rungs"]] == list(ladder.budgets)
    assert all(rung["frame"].startswith("data:image/png;base64,") for rung in first["rungs"])
    large = climb(Pyramid(), picture("red", size=128), hierarchy(), ByColour(), budgets=[4097]).as_dict()
    assert large["rungs"][0]["frame"].startswith("data:image/jpeg;base64,")


def test_bad_input_is_refused_with_a_sentence():
    with pytest.raises(BudgetError, match="0 or more"):
        climb(Pyramid(), picture("red"), hierarchy(), ByColour(), budgets=[-1, 5])
    with pytest.raises(HierarchyError, match=r"restrict\(classifier.wnids\)"):
        climb(Pyramid(), picture("red"), hierarchy().restrict(tuple(COLOURS)[::-1]), ByColour())
