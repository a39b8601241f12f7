"""Ours against the others: a toy whose differences are known, and shipped tables that are current."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from evaluation_toys import ByColour, FourBytes, hierarchy, pictures

from hierlib.errors import DataError
from hierlib.evaluation import Results, evaluate
from hierlib.evaluation.against import PUBLISHED, SHOWN, against, markdown
from hierlib.evaluation.measure import ours_for
from hierlib.files import shipped

CLASSES = [0, 1, 2, 3, 3]


class Padded(FourBytes):
    """The same four bytes, behind two that say nothing."""

    name = "padded"

    def encode(self, image):
        return b"\0\0" + super().encode(image)

    def decode(self, prefix):
        return super().decode(prefix[2:])


def measured(codec, *more) -> Results:
    return evaluate(codec, pictures(CLASSES), hierarchy(), [ByColour(), *more], (2, 3, 5, 6), progress=False)


def test_two_bytes_more_are_found_at_equal_accuracy():
    found = against(measured(FourBytes()), measured(Padded())).set_index(["level", "budget_bytes"])
    kind, thing = found.loc["kind"], found.loc["thing"]
    # ours knows the kind (all 5 right, 3 by guessing) from 3 bytes on, padded from 5; the thing from 4 and 6
    assert kind["difference"].tolist() == pytest.approx([0, 0.4, 0, 0])
    assert thing["difference"].tolist() == pytest.approx([0, 0, 0.6, 0])
    assert kind["n_decodable"].tolist() == [0, 0, 5, 5]
    assert (found["n"] == 5).all()
    assert (found["low"] <= found["difference"]).all()
    assert (found["difference"] <= found["high"]).all()
    assert kind.loc[3, "low"] < 0.4 < kind.loc[3, "high"]  # 5 pictures say little
    assert kind["rival_first_bytes"].tolist() == [5] * 4
    assert kind["rival_first"].tolist() == [1] * 4
    assert math.isnan(thing.loc[2, "rival_bytes_for_ours"]) is False
    assert thing.loc[5, "rival_bytes_for_ours"] == pytest.approx(6)


def test_who_judged_only_one_of_two_codecs_compares_nothing():
    class Other(ByColour):
        name = "other"

    both, one = measured(FourBytes(), Other()), measured(Padded())
    assert both.classifiers == ("by colour", "other")
    for pair in ((both, one), (one, both)):
        assert set(against(*pair)["classifier"]) == {"by colour"}
    only = Results(both.rows[both.rows["classifier"] == "other"], both.meta)
    with pytest.raises(DataError, match=r"four bytes by other; padded by by colour"):
        against(only, one)


def test_results_of_other_pictures_are_refused():
    other = evaluate(Padded(), pictures([0, 1]), hierarchy(), [ByColour()], (2, 3), progress=False)
    with pytest.raises(DataError):
        against(measured(FourBytes()), other)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(shipped("results", "against.csv"))


def test_the_readmes_tables_are_those_of_the_shipped_table(table, root):
    readme = (root / "README.md").read_text()
    assert PUBLISHED.within(readme, markdown(table)) == readme, "run make ledger"
    with pytest.raises(DataError, match="no place for the against"):
        PUBLISHED.within("# no marks", "tables")


def test_the_shipped_table_is_that_of_the_shipped_results(table):
    """One rival of each set is computed again; of all the others the accuracies are compared."""
    for pictures_, rival in (("imagenet-val227", "webp-fresh"), ("imagenette-woof-224-val", "jpeg2000")):
        codecs = ours_for(pictures_), rival
        results = [Results.load(shipped("results", f"{codec}-{pictures_}.parquet")) for codec in codecs]
        again = against(*results).reset_index(drop=True)
        of_ours = (table["pictures"] == pictures_) & (table["codec"] == codecs[0])
        kept = table[of_ours & (table["rival"] == rival)].reset_index(drop=True)
        pd.testing.assert_frame_equal(again, kept, check_dtype=False, rtol=1e-5)
    for (pictures_, _, rival, classifier), rows in table.groupby(["pictures", "codec", "rival", "classifier"]):
        means = Results.load(shipped("results", f"{rival}-{pictures_}.parquet")).table()
        means = means[(means["classifier"] == classifier) & (means["kind"] == "budget")].set_index("budget_bytes")
        for level, of_level in rows.groupby("level"):
            expected = means.loc[of_level["budget_bytes"], f"right_{level}"].to_numpy(float)
            np.testing.assert_allclose(of_level["theirs"], expected, rtol=1e-5)
    assert set(table["pictures"]) <= set(SHOWN)
    without = set(table.loc[table["codec"] == "tiny-plain", "rival"])
    assert {"dpict", "ctc"} <= without
    assert not any(name.endswith("-task") or name in ("picm", "jpeg2000") for name in without)
