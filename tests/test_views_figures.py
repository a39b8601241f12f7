import json

import numpy as np
import pytest
import torch
from views_toys import COLOURS, ByColour, Pyramid, hierarchy, picture

from hierlib.codec.protocol import Decoded
from hierlib.errors import DataError
from hierlib.evaluation import Results, evaluate
from hierlib.evaluation import calibration as calibrated
from hierlib.images.packs import PictureSet
from hierlib.images.pictures import DEMONSTRATION
from hierlib.views import explore
from hierlib.views.figures import (
    calibration,
    rate_accuracy,
    rate_distortion,
    rate_similarity,
    survival,
    training_curves,
)
from hierlib.views.ladder import climb
from hierlib.views.strips import byte_budget, duel, gallery
from hierlib.views.subjects import open_codec, subject, subjects
from hierlib.views.tables import by_classifier, byte_parts, figures_of, measured, overview, same_bytes

BUDGETS = (5, 17, 65, 257, 1025, 4097)


class Late(Pyramid):
    """Wastes its first 200 bytes: nothing is known before."""

    name = "late"

    def encode(self, image):
        return b"\1" * 200 + super().encode(image)

    def level_ends(self, stream):
        return tuple(200 + end for end in super().level_ends(stream[200:]))

    def decode(self, prefix):
        return super().decode(prefix[200:])


@pytest.fixture(scope="module")
def results():
    """Three noisy pictures of each colour, by two codecs."""
    labels = np.repeat(np.arange(4), 3)
    pictures = PictureSet(
        "colours", tuple(COLOURS), tuple(COLOURS), labels, lambda i: picture(list(COLOURS)[labels[i]], seed=i)
    )
    judges = {"by colour": ByColour()}
    return [evaluate(codec(), pictures, hierarchy(), judges, BUDGETS, progress=False) for codec in (Pyramid, Late)]


def line(axis, label):
    return next(drawn for drawn in axis.get_lines() if drawn.get_label() == label)


def test_accuracy_is_drawn_from_the_table_with_originals_and_the_majority(results):
    figure = rate_accuracy(results)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["(a) family, K = 2", "(b) colour, K = 4"]
    axis = figure.axes[1]
    ours, late = line(axis, "pyramid"), line(axis, "late")
    assert list(ours.get_xdata()) == list(BUDGETS)
    assert list(ours.get_ydata()) == [1.0] * 6  # the first thumbnail is all that this classifier looks at
    assert late.get_ydata()[0] == 0.25  # nothing known: one colour of four is guessed
    assert late.get_ydata()[3] == 1.0
    assert set(line(axis, "largest group").get_ydata()) == {0.25}
    assert set(line(axis, "originals").get_ydata()) == {1.0}
    by_bits = line(rate_accuracy(results, x="bpp").axes[1], "pyramid")
    assert by_bits.get_xdata()[0] == pytest.approx(8 * 5 / 64**2)


def test_distortion_is_drawn_and_similarity_asks_for_what_is_missing(results):
    figure = rate_distortion(results)
    psnr = line(figure.axes[0], "pyramid").get_ydata()
    assert list(psnr) == sorted(psnr)
    assert psnr == pytest.approx(results[0].curve("psnr_db")[1])
    with pytest.raises(DataError, match="without wup"):
        rate_similarity(results)  # colours are no WordNet classes


def test_survival_rises_to_the_share_that_is_ever_known(results):
    axis = survival(results[1]).axes[0]
    share = line(axis, "colour").get_ydata()
    known_at = line(axis, "colour").get_xdata()
    assert list(share) == sorted(share)
    assert share[-1] == 1.0
    assert share[known_at < 200].max() <= 0.25
    assert share[known_at >= 257].min() == 1.0


def test_results_of_different_pictures_do_not_share_a_figure(results):
    fewer = type(results[0])(results[0].rows, {**results[0].meta, "pictures": {"name": "others", "n": 12}})
    with pytest.raises(DataError, match="one set of pictures"):
        rate_accuracy([results[0], fewer])
    with pytest.raises(DataError, match="no results"):
        rate_distortion([])


def test_training_curves_have_a_panel_for_each_quantity_and_a_line_for_each_level(tmp_path):
    log = tmp_path / "metrics.jsonl"
    rows = [{"step": s, "seconds": 1.0, "mse_1": 100.0 / s, "mse_2": 50.0, "bytes_z": 7.0} for s in (1, 10, 100)]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    axes = {axis.get_title(loc="left"): axis for axis in training_curves(log).axes}
    assert list(line(axes["squared error, 255 scale"], "1").get_ydata()) == [100, 10, 1]
    assert list(line(axes["squared error, 255 scale"], "2").get_ydata()) == [50, 50, 50]
    assert axes["squared error, 255 scale"].get_yscale() == "log"
    assert axes["bytes (estimated), by level"].get_yscale() == "linear"
    with pytest.raises(DataError, match="train first"):
        training_curves(tmp_path / "none.jsonl")


def test_saved_results_come_back_by_set_ours_first(results, tmp_path):
    for result in results:
        result.save(tmp_path / f"{result.meta['codec']['name']}.parquet")
    (tmp_path / "README.md").write_text("no result")
    found = measured(tmp_path, tmp_path / "missing")
    assert list(found) == ["colours-12-colours"]
    assert [r.meta["codec"]["name"] for r in found["colours-12-colours"]] == ["late", "pyramid"]
    assert list(overview(found)["codec"]) == ["late", "pyramid"]
    names = ["jpeg-75", "zebra", "jpeg2000", "ant"]
    for name in names:
        Results(results[0].rows, {**results[0].meta, "codec": {"name": name}}).save(
            tmp_path / "mixed" / f"{name}.parquet"
        )
    (mixed,) = measured(tmp_path / "mixed").values()
    assert [r.meta["codec"]["name"] for r in mixed] == ["ant", "zebra", "jpeg2000", "jpeg-75"]


def test_many_codecs_are_drawn_beside_ours_in_figures_of_their_kind():
    names = ["tiny", "dpict", "picm", "plonq", "plonq-task", "zoo64-mbt2018-mean", "jpeg2000", "webp-fresh"]
    group = [Results(None, {"codec": {"name": name}}) for name in names]
    assert figures_of({"toys": group}) == {"toys": group}
    drawn = figures_of({"toys": group, "few": group[:2]}, most=4)
    assert {name: [names[group.index(r)] for r in part] for name, part in drawn.items()} == {
        "toys_learned": ["tiny", "dpict", "picm", "plonq"],
        "toys_task": ["tiny", "picm", "plonq-task"],
        "toys_other": ["tiny", "zoo64-mbt2018-mean", "jpeg2000", "webp-fresh"],
        "few": ["tiny", "dpict"],
    }


def test_the_same_bytes_table_has_means_and_tells_who_could_not(results):
    table = same_bytes(results, "right_colour")
    assert list(table.index) == [*(f"{b:,} B" for b in BUDGETS), "originals", "largest group"]
    assert table.loc["largest group", "late"] == "0.250"
    assert table.loc["5 B", "pyramid"] == "1.000"
    assert table.loc["originals", "late"] == "1.000"
    assert table.loc["17 B", "late"] == "no file so small"
    assert "largest group" not in same_bytes(results, "psnr_db").index
    both = by_classifier(results, "right_colour")
    assert both.index.names == ["classifier", "at"]
    assert both.loc["by colour"].equals(table)


def test_calibration_is_drawn_for_each_level_with_the_originals(results):
    (axis,) = calibration(results[0]).axes
    family = line(axis, "family")
    assert list(family.get_xdata()) == list(BUDGETS)
    found = calibrated(results[0]).set_index(["point", "level"])["ece"]
    assert family.get_ydata()[0] == found[(f"{BUDGETS[0]} B", "family")]
    assert len(axis.get_lines()) == 4  # two levels, each with its originals


def test_parts_of_a_stream_add_up(results):
    codec = Pyramid()
    stream = codec.encode(picture("red"))
    assert byte_parts(codec, stream) == {"block 1": 17, "block 2": 240, "block 3": 3840}
    assert byte_parts(codec, stream + b"12")["trailer"] == 2
    codec.info = lambda stream: {"header_bytes": 2, "z_bytes": 3}
    assert byte_parts(codec, stream) == {"header": 2, "z": 3, "block 1": 12, "block 2": 240, "block 3": 3840}


def test_bars_frames_and_galleries_show_what_they_are_given():
    bars = byte_budget({"header": 10, "block 1": 90}).axes[0].patches
    assert [(bar.get_x(), bar.get_width()) for bar in bars] == [(0, 10), (10, 90)]
    ladders = [climb(c, picture("red"), hierarchy(), ByColour(), budgets=(0, 17, 4097)) for c in (Pyramid(), Late())]
    axes = duel(ladders, (17, 100)).axes
    assert [axis.get_ylabel() for axis in axes] == ["pyramid", "", "late", ""]
    assert axes[1].get_title(loc="left").startswith("100 B (17)")
    shown = gallery({str(i): picture("red") for i in range(7)}, columns=3).axes
    assert [axis.get_title(loc="left") for axis in shown] == [*"0123456", "", ""]


def test_plotly_figures_carry_the_numbers(results):
    figure = explore.rate_accuracy(results, "colour")
    assert [trace.name for trace in figure.data] == ["pyramid", "late"]
    assert list(figure.data[0].x) == list(BUDGETS)
    ladder = climb(Pyramid(), picture("red"), hierarchy(), ByColour(), rungs=8)
    assert list(explore.confidence(ladder).data[1].text)[-1] == "red"


def test_subjects_by_name_and_by_file(tmp_path):
    found = subjects("chelsea rocket", size=32)
    assert [(s.name, s.wnid, tuple(s.image.shape)) for s in found] == [
        ("chelsea", "n02123045", (3, 32, 32)),
        ("rocket", None, (3, 32, 32)),
    ]
    from hierlib.images.pictures import save_picture

    save_picture(picture("red", size=50), tmp_path / "mine.png")
    assert subject(str(tmp_path / "mine.png"), 40).image.shape == (3, 40, 40)
    with pytest.raises(DataError, match=", ".join(DEMONSTRATION)):
        subject("chelsy")
    assert open_codec("jpeg-50").name == "jpeg-50"


def test_figures_name_ours_first_then_the_learned_peers_then_the_classical():
    from hierlib.views.tables import _rank

    mixed = ["jpeg2000", "plonq-task", "dpict", "runs/mine", "tiny", "webp-fresh", "plonq"]
    ordered = ["tiny", "runs/mine", "dpict", "plonq", "plonq-task"]
    assert sorted(mixed, key=_rank)[:5] == ordered


class Seldom(Pyramid):
    """A fresh file for each budget, of red pictures only: of the others none is so small."""

    name = "seldom"

    def encode_within(self, image, max_bytes):
        red = bool(image[0].mean() > image[1].mean() + 0.2)
        return self.encode(image)[:max_bytes] if red else b""


class Whole(Pyramid):
    """Of a file that is not whole nothing is seen; the first byte says by how much red ones are longer."""

    name = "whole"

    def encode(self, image):
        more = 40 if image[0].mean() > image[1].mean() + 0.2 else 0
        return bytes([more]) + super().encode(image) + bytes(more)

    def decode(self, prefix):
        found = super().decode(prefix[1:])
        whole = len(prefix) == 1 + found.symbols_total + prefix[0]
        return found if whole else Decoded(torch.full_like(found.image, 0.5), 0, 0, found.symbols_total, 0, False)


def test_budgets_that_few_files_meet_stand_at_the_budget_not_at_the_mean_with_zeros():
    labels = np.arange(4)
    pictures = PictureSet("colours", tuple(COLOURS), tuple(COLOURS), labels, lambda i: picture(list(COLOURS)[i]))
    few = evaluate(Seldom(), pictures, hierarchy(), {"by colour": ByColour()}, (65, 257), progress=False)
    table = few.table()
    assert 0 < table["n_decodable"][0] < 4
    assert table["bytes"][0] < 65
    figure = rate_accuracy([few], x="bpp")
    drawn = line(figure.axes[0], "seldom").get_xdata()
    assert drawn == pytest.approx([8 * 65 / 64**2, 8 * 257 / 64**2])


def test_a_line_never_turns_back_where_files_end_between_two_budgets():
    labels = np.arange(4)
    pictures = PictureSet("colours", tuple(COLOURS), tuple(COLOURS), labels, lambda i: picture(list(COLOURS)[i]))
    ends = sorted(len(Whole().encode(pictures[i])) for i in range(4))
    assert ends[0] < ends[-1] == ends[0] + 40
    budgets = (ends[0] - 9, ends[0] + 9, ends[0] + 90)
    whole = evaluate(Whole(), pictures, hierarchy(), {"by colour": ByColour()}, budgets, progress=False)
    assert list(whole.table()["n_decodable"][:3]) == [0, sum(e == ends[0] for e in ends), 4]
    drawn = line(rate_accuracy([whole]).axes[0], "whole").get_xdata()
    assert drawn == pytest.approx([np.mean([min(budget, end) for end in ends]) for budget in budgets])
