"""The README is held to the tree: its table to the results, its code to what runs, its files to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hierlib.evaluation import Results
from hierlib.evaluation.results import judges_of_all
from hierlib.files import shipped

BUDGETS = (32, 64, 128, 192, 256, 384, 512, 1024)
CODECS = ("tiny", "jpeg2000")


def accuracy_table(name: str = "tiny-imagenet-val") -> list[str]:
    """Markdown: per classifier and point, PSNR and the three accuracies of ours beside JPEG 2000's."""
    found = {codec: Results.load(shipped("results", f"{codec}-{name}.parquet")) for codec in CODECS}
    lines = [
        "| classifier | point | bytes | ours K=10 / 50 / 200 | ours PSNR | JPEG 2000 K=10 / 50 / 200 | its PSNR |",
        "|---|---|---|---|---|---|---|",
    ]
    tables = {codec: results.table() for codec, results in found.items()}
    for classifier in judges_of_all(list(found.values())):
        ours, theirs = (t[t["classifier"] == classifier].set_index("point") for t in tables.values())
        points = [f"{b} B" for b in BUDGETS] + ["level 1", "level 2", "level 3", "whole file", "original"]
        for point in points:
            row = ours.loc[point]
            psnr = "" if point == "original" else f"{row['psnr_db']:.1f}"
            sent = "" if point == "original" else f"{row['bytes']:.0f}"
            other, other_psnr = "", ""
            if point in theirs.index and point not in ("original", "whole file"):
                if theirs.loc[point, "n_decodable"] == 0:
                    other = "no file so small"
                else:
                    other, other_psnr = accuracies(theirs.loc[point]), f"{theirs.loc[point, 'psnr_db']:.1f}"
            lines.append(f"| {classifier} | {point} | {sent} | {accuracies(row)} | {psnr} | {other} | {other_psnr} |")
    return lines


def accuracies(row) -> str:
    return " / ".join(f"{row[f'right_{level}']:.3f}" for level in ("coarse", "intermediate", "fine"))


@pytest.fixture(scope="module")
def readme(root: Path) -> str:
    return (root / "README.md").read_text()


def test_the_table_is_the_measured_one(readme: str) -> None:
    for line in accuracy_table():
        assert line in readme


def test_the_code_runs(readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert blocks
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})


def test_the_files_it_names_are_there(readme: str, root: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (root / target).exists(), target


def test_the_make_targets_it_names_are_there(readme: str, root: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`", readme)) <= targets
