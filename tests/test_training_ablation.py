"""The ablations' arms, how they are measured, and what the table says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from training_toys import BRIEF

from hierlib.codec import weights
from hierlib.errors import DataError
from hierlib.evaluation.ablations import PUBLISHED, SPREAD, TOLD, ablation_table, from_shipped, markdown
from hierlib.evaluation.publish import as_written
from hierlib.files import shipped
from hierlib.images.shapes import shapes
from hierlib.training.ablation import ABLATIONS, write_curve
from hierlib.training.data import training_set
from hierlib.training.loss import received
from hierlib.training.trainer import CodecTask, train
from hierlib.views.ablations import ablation_figure

CODEC, ARMS = BRIEF.codec, ("base", "no-delta", "one-block", "raster-order", "no-context")


def small(arm: str):
    """An arm as the family has it, on drawn pictures and at the size of ``ci``."""
    changes = {"pictures": "shapes:36", "hierarchy": "shapes", "classifier": "shapes", "batch_size": 4, "steps": 2}
    codec = ABLATIONS[f"ablation-{arm}"].codec
    toy = replace(CODEC, delta_dim=16 * bool(codec.delta_dim), blocks=CODEC.blocks if len(codec.blocks) == 3 else (56,))
    return replace(ABLATIONS[f"ablation-{arm}"], codec=toy, **changes)


def test_the_family_has_the_arms_of_the_paper() -> None:
    splits = {tuple(np.diff((0, *r.codec.blocks))) for r in ABLATIONS.values() if len(r.codec.blocks) == 3}
    assert splits == {(64, 48, 48), (48, 64, 48), (48, 48, 64), (54, 53, 53)}
    assert ABLATIONS["ablation-no-delta"].codec.delta_dim == 0
    assert {r.order for r in ABLATIONS.values()} == {"sigma", "channel", "raster"}
    assert len({r.steps for r in ABLATIONS.values()}) == 1


def test_the_orders_by_hand() -> None:
    """Two channels, two places, one bit each, two bits to spend: which two arrive."""
    log_sigma = torch.tensor([0.0, 3.0, 1.0, 2.0]).view(1, 2, 1, 2)
    part = {"y_hat": torch.ones(1, 2, 1, 2), "mu": torch.zeros(1, 2, 1, 2), "log_sigma": log_sigma}
    part["bits"] = torch.ones(1, 2, 1, 2)
    expected = {"sigma": [0, 1, 0, 1], "channel": [1, 1, 0, 0], "raster": [1, 0, 1, 0]}
    for order, arrived in expected.items():
        y_hat, bits = received(part, torch.tensor([2.5]), order)
        assert y_hat.flatten().tolist() == arrived
        assert bits.tolist() == [2.0]


def test_without_context_nothing_depends_on_earlier_blocks(tmp_path: Path) -> None:
    task = CodecTask(small("no-context"), training_set("shapes:36"))
    task.update(0)
    y = torch.randn(1, CODEC.M, 4, 4)
    assert (task.network.entropy.context(y) == 0).all()
    path = train(small("no-context"), tmp_path)
    codec, image = weights.load(path), shapes(1)[0]
    assert codec.decode(codec.encode(image)).complete  # an ordinary codec, for anyone to load


def test_arms_are_trained_measured_and_compared(tmp_path: Path) -> None:
    for arm in ARMS:
        path = train(small(arm), tmp_path / f"{arm}-0")
        write_curve(path, small(arm), shapes(36, seed=5))
    rows = json.loads((tmp_path / "base-0" / "curve.json").read_text())["rows"]
    assert [row["budget_bytes"] for row in rows] == sorted(row["budget_bytes"] for row in rows)
    assert all(row["bytes"] <= max(row["budget_bytes"], rows[0]["bytes"]) for row in rows)
    assert rows[-1]["psnr_db"] > rows[0]["psnr_db"]
    figure = ablation_figure(tmp_path)
    assert [axis.get_title(loc="left") for axis in figure.axes][:2] == ["PSNR", "right, family"]
    assert {label.get_text() for label in figure.axes[0].get_yticklabels()} == set(ARMS) - {"base"}
    assert set(ablation_table(tmp_path).index) == set(ARMS)


def test_the_table_says_how_many_bytes_more(tmp_path: Path) -> None:
    """An arm that needs 10 % and 20 % more bytes with two seeds: 15 %, and Student's interval of the two."""

    def write(arm: str, seed: int, factor: float) -> None:
        folder = tmp_path / f"{arm}-{seed}"
        folder.mkdir()
        sizes = np.array([32.0, 64, 128, 256])
        rows = [
            {"budget_bytes": int(b), "bytes": factor * b, "psnr_db": 10 + 3 * np.log2(b), "right_fine": b / 512}
            for b in sizes
        ]
        (folder / "curve.json").write_text(json.dumps({"arm": arm, "seed": seed, "steps": 1, "rows": rows}))

    with pytest.raises(DataError, match="no curve of the arm base"):
        ablation_table(tmp_path)
    for seed, factor in ((0, 1.1), (1, 1.2)):
        write("base", seed, 1.0)
        write("no-delta", seed, factor)
    dots = ablation_figure(tmp_path).axes[0].lines[1].get_xdata()  # the first line is that of no difference
    assert dots.tolist() == pytest.approx([10, 20], abs=0.01)
    table = ablation_table(tmp_path)
    assert table.loc["base", "psnr_db"] == pytest.approx(0, abs=1e-6)
    assert table.loc["no-delta", "psnr_db"] == pytest.approx(15, abs=0.01)
    assert table.loc["no-delta", "right_fine"] == pytest.approx(15, abs=0.01)
    assert table.loc["no-delta", "psnr_db_interval"] == pytest.approx(12.706 * 5, rel=1e-3)
    assert table.loc[SPREAD, "psnr_db"] == pytest.approx(0, abs=1e-6)  # both seeds of the base are one curve
    write("base", 2, 1.25)
    spread = ablation_table(tmp_path).loc[SPREAD]
    assert (spread["seeds"], spread["psnr_db"]) == (3, pytest.approx(25, abs=0.01))  # a quarter more, a fifth fewer
    page = markdown(ablation_table(tmp_path).reset_index()).splitlines()
    assert page[0] == "| arm | what it is | seeds | PSNR | fine |"
    assert page[2].endswith("| 3 |  |  |")
    assert page[3].endswith("| 3 | 25.0 | 25.0 |")
    assert page[4].endswith("| 2 | +15.0 +- 63.5 | +15.0 +- 63.5 |")


def test_the_readmes_table_is_that_of_the_shipped_table_and_that_of_the_curves(root: Path) -> None:
    table = pd.read_csv(shipped("results", "ablations.csv"))
    readme = (root / "README.md").read_text()
    assert PUBLISHED.within(readme, markdown(table)) == readme, "run make ledger"
    made = as_written(from_shipped())
    pd.testing.assert_frame_equal(table, made)
    known = {name.removeprefix("ablation-") for name in ABLATIONS} | {SPREAD}
    assert set(TOLD) == known
    assert set(table["arm"]) <= known
