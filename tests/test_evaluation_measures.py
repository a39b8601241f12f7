"""Calibration, distances in the tree, medians by group, the price of progressiveness: by hand, or by a library."""

import numpy as np
import pytest
from evaluation_toys import ByColour, FourBytes, hierarchy, pictures

from hierlib.codec.protocol import Decoded
from hierlib.errors import BudgetError, DataError, HierarchyError
from hierlib.evaluation import Results, calibration, evaluate, median_by_group, price_of_progressiveness, reliability
from hierlib.evaluation.calibration import bins_of, expected_calibration_error
from hierlib.evaluation.curves import bd_rate
from hierlib.evaluation.ladder import geometric, jpeg_ai


def toy(codec=None, classes=(0, 1, 2, 3), budgets=(2, 3, 4)):
    return evaluate(codec or FourBytes(), pictures(list(classes)), hierarchy(), [ByColour()], budgets, progress=False)


def test_expected_calibration_error_by_hand():
    # two bins: (0.5, 0.3) both wrong, mean 0.4; (0.9, 0.9, 0.6) two right, mean 0.8
    found = bins_of([0.5, 0.3, 0.9, 0.9, 0.6], [False, False, True, False, True], bins=2)
    assert found["n"].tolist() == [2, 3]
    assert found["confidence"].tolist() == pytest.approx([0.4, 0.8])
    assert found["accuracy"].tolist() == pytest.approx([0, 2 / 3])
    assert expected_calibration_error(found) == pytest.approx((2 * 0.4 + 3 * (0.8 - 2 / 3)) / 5)
    assert np.isnan(expected_calibration_error(bins_of([], [], 3)))
    with pytest.raises(DataError):
        bins_of([1.2], [True])


def test_bins_are_those_of_scikit_learn():
    from sklearn.calibration import calibration_curve

    generator = np.random.default_rng(3)
    confidence = generator.uniform(0.001, 0.999, 500)
    right = generator.uniform(size=500) < confidence**2
    accuracy, sure = calibration_curve(right, confidence, n_bins=8)
    found = bins_of(confidence, right, 8)
    assert found["accuracy"].to_numpy() == pytest.approx(accuracy)
    assert found["confidence"].to_numpy() == pytest.approx(sure)
    honest = bins_of(confidence, generator.uniform(size=500) < confidence, 5)
    assert expected_calibration_error(honest) < 0.06 < expected_calibration_error(found)


def test_calibration_of_a_sweep():
    results = toy()
    table = calibration(results).set_index(["point", "level"])
    assert ("2 B", "kind") not in table.index  # a guess is not sure of anything
    kind, thing = table.loc[("3 B", "kind")], table.loc[("3 B", "thing")]
    # 3 bytes: 0.9 sure of the kind and always right; 0.54 of the first thing (cat, car), right for two of four
    assert (kind["n"], kind["accuracy"]) == (4, 1)
    assert (kind["confidence"], kind["ece"]) == pytest.approx((0.9, 0.1), abs=1e-6)
    assert (thing["confidence"], thing["accuracy"], thing["ece"]) == pytest.approx((0.54, 0.5, 0.04), abs=1e-6)
    assert reliability(results, "kind", "original", bins=4)["n"].tolist() == [0, 0, 0, 4]
    older = Results(results.rows.drop(columns="confidence_kind"), results.meta)
    with pytest.raises(DataError, match="measure them again"):
        reliability(older, "kind", "3 B")


def test_the_confidence_of_a_guess_is_the_share_of_what_is_guessed():
    rows = toy(classes=(0, 2, 3, 3)).of(kind="budget").groupby("point").first()
    assert rows.loc["2 B", ["confidence_kind", "confidence_thing"]].tolist() == [0.75, 0.5]


def test_distance_counts_the_levels_at_which_the_answer_is_wrong():
    # 3 bytes: dog is called cat, bus car (1 level); 2 bytes: all are called cat (2 levels for car and bus, 1 for dog)
    table = toy().table().set_index("point")
    assert table["hierarchical_distance"].tolist()[:3] == pytest.approx([(0 + 1 + 2 + 2) / 4, 0.5, 0])
    assert table.loc["3 B", "hierarchical_distance_se"] == pytest.approx(np.std([0, 1, 0, 1], ddof=1) / 2)


def test_medians_by_group():
    found = median_by_group(toy(FourBytes(padding=3), (0, 0, 1, 2, 3)), hierarchy(), "thing")
    assert found["group"].tolist() == ["car", "cat", "bus", "dog"]  # the first of each kind is known from 3 bytes on
    assert found["n"].tolist() == [1, 2, 1, 1]
    assert found["median_bytes"].tolist() == [3, 3, 4, 4]
    assert found["settled"].tolist() == [1] * 4
    kinds = median_by_group(toy(FourBytes(padding=3), (0, 1, 2)), hierarchy(), "kind")
    assert kinds[["group", "n", "median_bytes"]].to_numpy().tolist() == [["animal", 2, 3], ["vehicle", 1, 3]]
    with pytest.raises(HierarchyError):
        median_by_group(toy(), hierarchy(), "species")


class Fresh(FourBytes):
    """Without sizes in its file: two bytes say everything."""

    name = "fresh"

    def encode_within(self, image, max_bytes):
        return super().encode(image)[2:] if max_bytes >= 2 else b""

    def decode(self, prefix):
        whole = FourBytes().decode(b"\6\6" + prefix[-2:] if len(prefix) >= 2 else b"")
        return Decoded(whole.image, whole.level, whole.symbols, 2, len(prefix), len(prefix) in (2, 4))


def test_the_price_of_progressiveness_by_hand():
    ours, single = toy(budgets=(1, 2, 3, 4)), toy(Fresh(), budgets=(1, 2, 3, 4))
    found = price_of_progressiveness(ours, [single], "right_thing")
    # with 1 byte neither has anything; from 2 on the single file is right about all, ours about 1/4, 2/4, 4/4
    assert found["budget_bytes"].tolist() == [2, 3, 4]
    assert found["single"].tolist() == [1, 1, 1]
    assert found["price"].tolist() == pytest.approx([0.75, 0.5, 0])
    assert found["bytes_ratio"].to_numpy() == pytest.approx(2, rel=1e-4)
    assert set(found["of"]) == {"fresh"}
    with pytest.raises(DataError, match="same pictures"):
        price_of_progressiveness(ours, [toy(Fresh(), (0, 1))], "right_thing")


def test_bd_rate_says_how_many_points_it_rests_on():
    assert bd_rate([1, 2, 4], [0.1, 0.2, 0.4], [1, 2], [0.1, 0.3]).n == (3, 2)


def test_ladders():
    assert geometric(64, 1024, 5) == (64, 128, 256, 512, 1024)
    assert geometric(1, 3, 9) == (1, 2, 3)
    # 0.06 and 0.25 bits for each of 65,536 pixels: 491.52 and 2,048 bytes
    assert jpeg_ai(256, 256) == (491, 983, 2048, 4096, 6144, 8192, 12288, 16384)
    assert jpeg_ai(1, 1) == (1,)
    with pytest.raises(BudgetError):
        geometric(10, 10, 4)
