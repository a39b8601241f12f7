"""Rate and distortion of unlabelled pictures: real bytes against a definition by hand, and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from codec_toys import toy_codec

from hierlib.evaluation import distortion, kodak
from hierlib.evaluation.distortion import main, means, rate_distortion
from hierlib.evaluation.publish import as_written
from hierlib.files import shipped
from hierlib.images.pictures import load_picture, save_picture
from hierlib.images.shapes import shapes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(2):
        save_picture(shapes(2, seed=3)[i], tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_rows_are_what_the_cut_files_show(folder: Path) -> None:
    codec = toy_codec()
    paths = sorted(folder.glob("*.png"))
    rows, spent = rate_distortion(codec, paths)
    assert len(rows) == 2 * (8 + 1)
    assert min(spent.values()) > 0
    row = rows[(rows["picture"] == "1.png") & (rows["rate_bpp"] == 0.25)].iloc[0]
    image = load_picture(paths[1])
    stream = codec.encode(image)
    shown = (codec.decode(stream[:128]).image * 255).round() / 255
    assert (row["bytes"], row["bpp"], row["file_bytes"]) == (128, 0.25, len(stream))
    assert row["psnr_db"] == pytest.approx(-10 * np.log10(torch.mean((shown - image) ** 2).item()), abs=1e-3)
    table = means(rows)
    assert table["n"].tolist() == [2] * 9
    assert table.loc["whole", "bytes"] == rows[rows["rate_bpp"].isna()]["file_bytes"].mean()


def test_command_line(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    from hierlib import baselines

    monkeypatch.setattr(baselines, "load", lambda name: toy_codec())
    out = folder / "out.json"
    assert main(["toy", str(folder), "-o", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["meta"]["schema"] == distortion.SCHEMA
    assert found["rows"]["picture"].count("0.png") == 9
    assert "whole" in capsys.readouterr().out
    (empty := folder / "empty").mkdir()
    assert main(["toy", str(empty)]) == 2
    assert main(["toy", str(folder / "notes.txt")]) == 2
    assert "no picture" in capsys.readouterr().err


def test_the_readmes_table_is_that_of_the_shipped_table_and_that_of_the_results(root: Path) -> None:
    table = pd.read_csv(shipped("results", "kodak.csv"), dtype={"rate_bpp": str})
    readme = (root / "README.md").read_text()
    assert kodak.PUBLISHED.within(readme, kodak.markdown(table)) == readme, "run make ledger"
    pd.testing.assert_frame_equal(table, as_written(kodak.from_shipped()).astype({"rate_bpp": str}))
    rows = json.loads(shipped("results", "dpict-kodak.distortion.json").read_text())["rows"]
    chosen = [psnr for rate, psnr in zip(rows["rate_bpp"], rows["psnr_db"], strict=True) if rate == 0.25]
    at = table[(table["codec"] == "dpict") & (table["rate_bpp"] == "0.25")].iloc[0]
    assert (at["n"], at["psnr_db"]) == (len(chosen), pytest.approx(np.mean(chosen), rel=1e-5))


def test_the_table_of_rates_by_hand() -> None:
    cells = {
        "0.06": (0.06, 20.04),
        "0.12": (0.118, 22.0),
        "0.25": (0.22, 25.0),
        "0.5": (0.3, 26.0),
        "whole": (0.3, 26.0),
    }
    found = pd.DataFrame(
        [{"codec": "toy", "rate_bpp": rate, "bpp": bpp, "psnr_db": psnr} for rate, (bpp, psnr) in cells.items()]
    )
    assert kodak.markdown(found).splitlines()[-1] == "| toy | 20.0 | 22.0 | 25.0 (0.22) | 26.0 (0.30) | 26.0 (0.30) |"
