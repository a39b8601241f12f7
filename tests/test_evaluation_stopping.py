"""Calibration and the stop rule, on answers whose chance of being right is known because it was drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hierlib.classifiers import Named
from hierlib.errors import BudgetError, DataError
from hierlib.evaluation import Results
from hierlib.evaluation.calibration import bins_of, expected_calibration_error
from hierlib.evaluation.confidence import fit, points, shipped_confidence, shipped_results
from hierlib.evaluation.results import tidy
from hierlib.evaluation.stopping import calibrate, followed, shipped_rule, shipped_trade, trade
from hierlib.hierarchy.tree import Hierarchy
from hierlib.views.stops import trade_figure

BUDGETS = (64, 128, 256)


def drawn(n: int, overconfident: float, seed: int = 0) -> Results:
    """Answers that are right with probability p, of a classifier that says p to the power 1/overconfident."""
    random = np.random.default_rng(seed)
    picture = np.repeat(np.arange(n), len(BUDGETS))
    sent = np.tile(BUDGETS, n)
    ease = np.repeat(random.uniform(0, 1, n), len(BUDGETS))
    p = np.clip(0.05 + 0.94 * ease * (sent / 256) ** 0.05, 0.02, 0.99)
    plain = {"wnid": "a", "kind": "budget", "classifier": "judge", "complete": False, "decodable": True, "top1": False}
    frame = pd.DataFrame({"picture": picture, "bytes": sent, "bpp": 8 * sent / 64**2, "budget_bytes": sent, **plain})
    frame["point"] = [f"{b} B" for b in sent]
    frame["file_bytes"], frame["bytes_used"], frame["level"] = 256, sent, 1
    frame["symbols"], frame["symbols_total"] = 1, 2
    frame["right_coarse"], frame["confidence_coarse"] = random.uniform(size=len(p)) < p, p ** (1 / overconfident)
    meta = {"codec": {"name": "drawn", "fingerprint": "00"}, "pictures": {"name": "drawn", "n": n}}
    return Results(tidy(frame), {**meta, "hierarchy": {"name": "tree", "levels": ["coarse"], "K": [2]}})


def test_an_overconfident_classifier_is_put_right() -> None:
    fitted, fresh = fit(drawn(1500, 3.0)), points(drawn(1500, 3.0, seed=1))
    said, right = fresh["confidence_coarse"].to_numpy(), fresh["right_coarse"].to_numpy()
    put_right = fitted.curves[0](said, fresh["bpp"].to_numpy())
    before, after = (expected_calibration_error(bins_of(each, right)) for each in (said, put_right))
    assert before > 0.15
    assert after < 0.04
    assert fitted.n == 1500
    assert round(fitted.pixels) == 64**2
    assert fitted(0, 0.9, 10**9, 64**2) == fitted(0, 0.9, 256, 64**2)  # beyond what was measured nothing is made up


@pytest.mark.parametrize("target", [0.2, 0.3])
def test_those_who_stop_are_wrong_no_more_often_than_asked_for(target: float) -> None:
    fresh = drawn(12_000, 2.0, 100)
    rules = [calibrate(drawn(4000, 2.0, seed), "coarse", target, seed=seed) for seed in range(8)]
    kept = [rule for rule in rules if rule.threshold <= 1]
    assert len(kept) >= 6
    assert sum(followed(rule, fresh)["error"] > target for rule in kept) <= 1  # one in ten may promise too much
    for rule in kept:
        assert rule.mean_bytes < rule.whole_bytes
        assert rule.interval[0] <= rule.error <= rule.interval[1]


def test_a_promise_that_nothing_keeps_means_to_go_on_to_the_end() -> None:
    rule = calibrate(drawn(40, 2.0), "coarse", 0.01)
    assert rule.threshold > 1
    assert not rule.enough(0.9999, 256, 64**2)
    assert rule.saved == 0
    assert "never stop" in str(rule)


def test_the_receiver_looks_at_the_same_bits_per_pixel_at_any_size() -> None:
    rule = calibrate(drawn(800, 2.0), "coarse", 0.2)
    assert rule.looks(64**2, 200) == [64, 128, 200]
    assert rule.looks(128**2, 5000) == [256, 512, 1024, 5000]


def test_more_doubt_allowed_saves_more_bytes() -> None:
    table = trade(drawn(1500, 2.0), "coarse", (0.1, 0.2, 0.3))
    assert table["saved"].is_monotonic_increasing
    assert (table["mean_bytes"] <= table["whole_bytes"]).all()
    seen = trade_figure(table).axes[0].containers[0].lines[0].get_ydata()
    assert list(seen) == list(table[table["stopped"] > 0]["error"])
    never = trade(drawn(40, 2.0), "coarse", (0.01,))
    assert not trade_figure(never).axes[0].containers
    assert (
        not trade_figure(shipped_trade(object(), Named("nobody", (), print), Hierarchy.load("shapes")))
        .axes[0]
        .containers
    )


def test_what_cannot_be_asked_for_is_refused() -> None:
    with pytest.raises(BudgetError, match="between 0 and 1"):
        calibrate(drawn(40, 2.0), "coarse", 0)
    with pytest.raises(DataError, match="'fine'"):
        calibrate(drawn(40, 2.0), "fine")
    few = drawn(40, 2.0)
    with pytest.raises(DataError, match="more pictures"):
        fit(few, pictures=[0])
    without = Results(few.rows.drop(columns="confidence_coarse"), few.meta)
    with pytest.raises(DataError, match="measure them again"):
        fit(without)


def test_what_ships_is_only_used_with_what_it_was_made_with() -> None:
    """If the weights are new, `python -m hierlib.evaluation.confidence` makes what ships anew."""
    import hierlib
    from hierlib import classifiers, hierarchy

    codec, judge = hierlib.load("tiny"), classifiers.load("tiny")
    tree = hierarchy.load("tiny-clip").restrict(judge.wnids)
    found = shipped_results(codec.fingerprint.hex(), judge.name, tree.name, tree.K)
    if not found:
        assert shipped_confidence(codec, judge, tree, 64**2) is None
        assert shipped_rule(codec, judge, tree) is None
        pytest.skip("data/confidence is of other weights: python -m hierlib.evaluation.confidence")
    pictures = np.random.default_rng(1).permutation(found[0].rows["picture"].unique())
    half = len(pictures) // 2
    fitted, fresh = fit(found[0], pictures=pictures[:half]), points(found[0], pictures=pictures[half:])
    for level, curve in zip(fitted.levels, fitted.curves):
        said, right = fresh[f"confidence_{level}"].to_numpy(), fresh[f"right_{level}"].to_numpy()
        errors = [expected_calibration_error(bins_of(p, right)) for p in (said, curve(said, fresh["bpp"].to_numpy()))]
        assert errors[1] < errors[0]
    assert shipped_confidence(codec, judge, hierarchy.load("imagenet-clip"), 64**2) is None
    rule = shipped_rule(codec, judge, tree, target=0.2)
    assert rule is not None
    assert rule.error <= 0.2
    assert rule.saved > 0
