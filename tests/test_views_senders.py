"""What sending costs, drawn for all codecs; and figures of rates without those that stand apart."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from peer_toys import peer_codec
from views_toys import COLOURS, ByColour, Pyramid, hierarchy, picture

from hierlib.errors import DataError
from hierlib.evaluation import Results, evaluate
from hierlib.images.packs import PictureSet
from hierlib.views.figures import rate_accuracy, rate_distortion, rate_similarity, together
from hierlib.views.senders import costs, senders


@pytest.fixture(scope="module")
def results() -> list[Results]:
    """One picture of each colour, by a toy, a peer, and one that stands apart."""
    labels = np.arange(4)
    pictures = PictureSet(
        "colours", tuple(COLOURS), tuple(COLOURS), labels, lambda i: picture(list(COLOURS)[i], seed=i)
    )
    codecs = [Pyramid(), peer_codec("progdtd"), peer_codec("limitnet")]
    return [evaluate(codec, pictures, hierarchy(), [ByColour()], (65, 257), progress=False) for codec in codecs]


def test_costs_are_those_of_the_evaluation_and_of_the_networks(results: list[Results]) -> None:
    found = costs(results)
    assert found.index.tolist() == ["pyramid", "progdtd0", "limitnet0"]
    assert found["apart"].tolist() == [False, False, True]
    assert np.isnan(found.loc["pyramid", "encoder_m"])
    for row, method in ((1, "progdtd"), (2, "limitnet")):
        network = peer_codec(method).network
        shown = [network.g_s, network.linear.inverse_conv]  # type: ignore[union-attr]
        all_of_it, back = (sum(p.numel() for n in of for p in n.parameters()) for of in ([network], shown))
        assert found.iloc[row]["parameters_m"] == pytest.approx(all_of_it / 1e6)
        assert found.iloc[row]["encoder_m"] == pytest.approx((all_of_it - back) / 1e6)
    assert found.iloc[2]["encode_ms"] == pytest.approx(results[2].meta["seconds"]["encode"] * 250)
    assert (found[["encode_ms", "decode_ms"]] > 0).all().all()


def test_the_senders_figure_has_everybody_and_says_who_stands_apart(results: list[Results]) -> None:
    axis = senders(results, 257).axes[0]
    drawn = {line.get_label().partition(",")[0]: line for line in axis.get_lines()}
    assert list(drawn) == ["pyramid", "progdtd0", "limitnet0"]
    for name, line in drawn.items():
        result = next(r for r in results if r.meta["codec"]["name"] == name)
        table = result.table()
        right = table[(table["kind"] == "budget") & (table["budget_bytes"] == 257)]["right_family"].iloc[0]
        assert line.get_ydata()[0] == right
        assert line.get_xdata()[0] == pytest.approx(costs(results).loc[name, "encode_ms"])
    faces = {name: line.get_markerfacecolor() for name, line in drawn.items()}
    assert faces["limitnet0"] != drawn["limitnet0"].get_color()
    assert faces["progdtd0"] == drawn["progdtd0"].get_color()
    with pytest.raises(DataError, match="not measured at 64"):
        senders(results, 64)
    with pytest.raises(DataError, match="no results"):
        senders([], 64)


def test_times_taken_in_turns_are_told_where_they_are_of_everybody(results: list[Results]) -> None:
    names = ["limitnet0", "pyramid", "progdtd0", "somebody else"]
    taken = pd.DataFrame({"codec": names, "encode_64_s": [1, 2, 3, 4], "decode_64_s": [5, 6, 7, 8]})
    found = costs(results, taken)
    assert found["encode_ms"].tolist() == [2000, 3000, 1000]
    assert found["decode_ms"].tolist() == [6000, 7000, 5000]
    assert "in turns" in senders(results, 257, taken=taken).axes[0].get_xlabel()
    for lacking in (taken[:2], taken.rename(columns={"encode_64_s": "encode_256_s"})):
        assert costs(results, lacking)["encode_ms"].tolist() == costs(results)["encode_ms"].tolist()
        assert "in turns" not in senders(results, 257, taken=lacking).axes[0].get_xlabel()


def test_figures_of_rates_leave_them_out_unless_there_is_nobody_else(results: list[Results]) -> None:
    assert together(results) == results[:2]
    assert together(results[2:]) == results[2:]
    with_wup = [r for r in results if "wup" in r.measures]
    for draw, of in ((rate_accuracy, results), (rate_distortion, results), (rate_similarity, with_wup)):
        if of:
            labels = {line.get_label() for line in draw(of).axes[0].get_lines()}
            assert {"pyramid", "progdtd0"} <= labels
            assert "limitnet0" not in labels
    assert "limitnet0" in {line.get_label() for line in rate_distortion(results[2:]).axes[0].get_lines()}


def test_results_without_counts_are_drawn_all_the_same(results: list[Results]) -> None:
    old = dataclasses.replace(results[1], meta={k: v for k, v in results[1].meta.items() if k != "parameters"})
    assert np.isnan(costs([old]).iloc[0]["parameters_m"])
    assert senders([old], 257).axes
