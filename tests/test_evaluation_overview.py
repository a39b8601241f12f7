"""What each codec is like, and mean accuracy over log-bytes: toys with known answers; shipped tables are current."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from evaluation_toys import ByColour, FourBytes, hierarchy, pictures

from hierlib.errors import DataError
from hierlib.evaluation import Results, evaluate
from hierlib.evaluation.curves import by_picture, mean_over_log_bytes, means_over_log_bytes
from hierlib.evaluation.overview import PUBLISHED, markdown, mean_accuracies
from hierlib.evaluation.traits import traits
from hierlib.files import shipped

CLASSES = [0, 1, 2, 3, 3]


@pytest.fixture(scope="module")
def measured() -> Results:
    return evaluate(FourBytes(), pictures(CLASSES), hierarchy(), [ByColour()], (2, 3, 4), progress=False)


def test_the_mean_over_pictures_is_that_of_the_mean_curve(measured):
    for level in measured.levels:
        each = means_over_log_bytes(by_picture(measured, f"right_{level}"))
        n_bytes, accuracy = measured.curve(f"right_{level}")
        assert len(each) == len(CLASSES)
        assert each.mean() == pytest.approx(mean_over_log_bytes(n_bytes, accuracy, 2, 4))
        assert each.between(0, 1).all()


def test_mean_accuracies_by_hand(measured):
    found = mean_accuracies(measured).set_index("level")
    # 2 bytes say nothing (3 of 5 are vehicles, 2 of 5 of one thing), 3 the kind (and 2 things by luck), 4 all
    early, late = math.log(3 / 2) / math.log(2), math.log(4 / 3) / math.log(2)
    assert found.loc["kind", "accuracy"] == pytest.approx(0.8 * early + late)
    assert found.loc["thing", "accuracy"] == pytest.approx(0.4 * early + 0.7 * late)
    assert (found["low"] <= found["accuracy"]).all()
    assert (found["accuracy"] <= found["high"]).all()
    assert found["n"].tolist() == [5, 5]
    assert found["low_bytes"].tolist() == [2, 2]


class Said(FourBytes):
    name, cut, portable = "said", "any byte", True
    parameter_counts = {"all": 9, "encoder": 5}  # noqa: RUF012


def test_traits_of_two_codecs():
    found = traits([Said(), FourBytes()], {64: [pictures(CLASSES)[0]]}, 2)
    said, plain = found.iloc[0], found.iloc[1]
    assert (said["cut"], said["portable"], said["parameters"]) == ("any byte", True, 9)
    assert (plain["cut"], plain["parameters"]) == ("", 0)
    assert said["empty_bytes"] == plain["empty_bytes"] == 4
    assert (found[["encode_64_s", "decode_64_s"]] > 0).all(axis=None)


@pytest.fixture(scope="module")
def shipped_traits() -> pd.DataFrame:
    return pd.read_csv(shipped("results", "traits.csv"))


def test_the_readmes_table_is_that_of_the_shipped_files(shipped_traits, root):
    readme = (root / "README.md").read_text()
    found = pd.read_csv(shipped("results", "overview.csv"))
    assert PUBLISHED.within(readme, markdown(found, shipped_traits)) == readme, "run make ledger"
    with pytest.raises(DataError, match="no place for the overview"):
        PUBLISHED.within("# no marks", "table")


def test_the_shipped_table_is_that_of_the_shipped_results():
    """One is computed again; that there is a row for each shipped file is looked at for all."""
    kept = pd.read_csv(shipped("results", "overview.csv"))
    names = {path.stem for path in shipped("results").glob("*.parquet")}
    assert {f"{row.codec}-{row.pictures}" for row in kept.itertuples()} == names
    again = mean_accuracies(Results.load(shipped("results", "tiny-imagenet-val227.parquet")))
    old = kept[(kept["codec"] == "tiny") & (kept["pictures"] == "imagenet-val227")].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, old, check_dtype=False, rtol=1e-4)


def test_ours_and_every_shipped_codec_has_traits(shipped_traits):
    kept = pd.read_csv(shipped("results", "overview.csv"))
    assert set(kept["codec"]) <= set(shipped_traits["codec"])
    assert shipped_traits["codec"].iloc[0] == "tiny"
    assert all(math.isfinite(value) for value in shipped_traits.filter(regex="_s$").to_numpy().ravel())
