"""What a searching encoder buys: a toy whose differences are known, and a shipped table that is current."""

from __future__ import annotations

import pandas as pd
import pytest
from evaluation_toys import ByColour, FourBytes, Later, hierarchy, pictures

from hierlib.errors import DataError
from hierlib.evaluation import Results, evaluate, refined
from hierlib.evaluation.regimes import NOBODY
from hierlib.files import shipped


def test_pairs_of_a_toy(tmp_path, monkeypatch):
    monkeypatch.setattr(refined, "shipped", lambda *_: tmp_path)
    monkeypatch.setitem(refined.SHOWN, False, (2, 3))
    with pytest.raises(DataError, match="make measure"):
        refined.from_shipped()
    for codec, name in ((Later(), "tiny"), (FourBytes(), "tiny-refined")):
        found = evaluate(codec, pictures([0, 1, 2, 3, 3]), hierarchy(), [ByColour()], (2, 3), progress=False)
        (made,) = [m for m in refined.PLAN if m.codec_name == name and m.pictures == "tiny-imagenet-val"]
        found.save(made.path(tmp_path))
    rows = refined.from_shipped()
    assert set(zip(rows["less"], rows["codec"])) == {("tiny", "tiny-refined")}
    kind = rows[rows["measure"] == "right_kind"].set_index("budget_bytes")["difference"]
    assert kind.tolist() == pytest.approx([0, 0.4])  # who has one byte more knows the kind at 3 bytes
    page = refined.markdown(rows).splitlines()
    assert page[0].endswith("| judged by | 2 B | 3 B |")
    assert page[2].startswith("| tiny-refined less tiny | by colour | +0.0 (+0.0 to +0.0) | +40.0 (")
    assert page[3].startswith("| tiny-refined less tiny | PSNR, dB |")


def test_the_readmes_table_is_that_of_the_shipped_table_and_that_of_the_results(root):
    table = pd.read_csv(shipped("results", "refined.csv"))
    readme = (root / "README.md").read_text()
    assert refined.PUBLISHED.within(readme, refined.markdown(table)) == readme, "run make ledger"
    paths = {(made.codec_name, made.pictures): made.path(shipped("results")) for made in refined.PLAN}
    for (pictures_, codec, less, classifier), rows in table.groupby(["pictures", "codec", "less", "classifier"]):
        of = [Results.load(paths[name, pictures_]).table() for name in (less, codec)]
        judge = of[1]["classifier"].iloc[0] if classifier == NOBODY else classifier
        means = [t[(t["classifier"] == judge) & (t["kind"] == "budget")].set_index("budget_bytes") for t in of]
        for measure, each in rows.groupby("measure"):
            expected = (means[1][measure] - means[0][measure])[each["budget_bytes"]]
            assert each["difference"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-5)
