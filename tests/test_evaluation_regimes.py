"""With the task loss less without: a toy whose differences are known, and a shipped table that is current."""

from __future__ import annotations

import pandas as pd
import pytest
from evaluation_toys import ByColour, FourBytes, Later, hierarchy, pictures

from hierlib.errors import DataError
from hierlib.evaluation import Results, evaluate
from hierlib.evaluation.regimes import NOBODY, PUBLISHED, both, markdown, pairs, regimes
from hierlib.files import shipped
from hierlib.views.regimes import bought_by_searching, bought_by_the_task, searched


def measured(codec, classes=(0, 1, 2, 3, 3)) -> Results:
    return evaluate(codec, pictures(list(classes)), hierarchy(), [ByColour()], (2, 3, 64), progress=False)


def test_differences_by_hand():
    found = regimes(measured(Later()), measured(FourBytes())).set_index(["measure", "budget_bytes"])["difference"]
    # who has one byte more knows the kind at 3 bytes (5 right, 3 by guessing), and at 64 both know all
    assert found["right_kind"].tolist() == pytest.approx([0, 0.4, 0])
    assert found["psnr_db"].iloc[1] > 0
    assert found["psnr_db"].iloc[2] == 0
    with pytest.raises(DataError):
        regimes(measured(Later()), measured(FourBytes(), (0, 1)))


def test_the_page_of_the_toy():
    page = markdown(regimes(measured(FourBytes()), measured(Later()))).splitlines()
    assert page[0] == "| codec | judged by | 64 B |"
    assert page[2].endswith("| by colour | +0.0 (+0.0 to +0.0) |")
    assert page[3].endswith("| PSNR, dB | +0.00 (+0.00 to +0.00) |")


def test_drawn_are_the_codecs_that_are_there_in_both_regimes():
    plain, task, alone = measured(Later()), measured(FourBytes()), measured(FourBytes())
    for results, name in ((plain, "toy"), (task, "toy-task"), (alone, "other-task")):
        results.meta["codec"]["name"] = name
    assert pairs([task, alone, plain]) == [(plain, task)]
    assert both(["b-task", "tiny", "b", "tiny-plain", "c-task", "a"]) == [("tiny-plain", "tiny"), ("b", "b-task")]
    figure = bought_by_the_task([alone, task, plain])
    judged, psnr = figure.axes
    assert [line.get_label() for line in judged.lines[1:]] == ["toy"]  # the first is that of no difference
    assert judged.lines[1].get_ydata().tolist() == pytest.approx([0, 40, 0])  # points, as by hand above
    assert psnr.lines[1].get_ydata()[-1] == 0
    with pytest.raises(DataError, match="as NAME and NAME-task: these are toy, other-task"):
        bought_by_the_task([plain, alone])


def test_a_searching_encoder_is_drawn_less_the_same_without():
    plain, refined, alone = measured(Later()), measured(FourBytes()), measured(FourBytes())
    for results, name in ((plain, "tiny"), (refined, "tiny-refined"), (alone, "photo-refined")):
        results.meta["codec"]["name"] = name
    assert searched([refined, alone, plain]) == [(plain, refined)]
    judged, _ = bought_by_searching([refined, plain]).axes
    assert judged.lines[1].get_ydata().tolist() == pytest.approx([0, 40, 0])
    with pytest.raises(DataError, match="as NAME and NAME-refined: these are tiny"):
        bought_by_searching([plain])


def test_the_readmes_table_is_that_of_the_shipped_table_and_that_of_the_results(root):
    table = pd.read_csv(shipped("results", "regimes.csv"))
    readme = (root / "README.md").read_text()
    assert PUBLISHED.within(readme, markdown(table)) == readme, "run make ledger"
    for (pictures_, codec, classifier), rows in table.groupby(["pictures", "codec", "classifier"]):
        regime = ("tiny-plain", "tiny") if codec == "tiny" else (codec, f"{codec}-task")
        of = [Results.load(shipped("results", f"{name}-{pictures_}.parquet")).table() for name in regime]
        judge = of[0]["classifier"].iloc[0] if classifier == NOBODY else classifier
        means = [t[(t["classifier"] == judge) & (t["kind"] == "budget")].set_index("budget_bytes") for t in of]
        for measure, each in rows.groupby("measure"):
            expected = (means[1][measure] - means[0][measure])[each["budget_bytes"]]
            assert each["difference"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-5)
