"""Packs, folders and the drawn set."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hierlib import hierarchy
from hierlib.errors import DataError
from hierlib.files import shipped
from hierlib.images.packs import open_pack
from hierlib.images.shapes import CLASSES, class_ids, hierarchy_rows, shapes


def encoded(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(buffer, "PNG")
    return buffer.getvalue()


def write_pack(path: Path, wnids: list[str], **extra: list) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [encoded((i, 0, 0)) for i in range(len(wnids))], "wnid": wnids, **extra}), path)


def test_numbered_packs_are_one_set(tmp_path: Path) -> None:
    write_pack(tmp_path / "zoo-train-0.parquet", ["n2", "n1"], name=["dog", "cat"])
    write_pack(tmp_path / "zoo-train-1.parquet", ["n1"], name=["cat"])
    write_pack(tmp_path / "zoo-training.parquet", ["n9"])
    pictures = open_pack("zoo-train", tmp_path)
    assert len(pictures) == 3
    assert pictures.wnids == ("n1", "n2")
    assert pictures.names == ("cat", "dog")
    assert pictures.labels.tolist() == [1, 0, 0]
    assert pictures[1].shape == (3, 6, 8)
    assert pictures[1][0, 0, 0] == pytest.approx(1 / 255)
    part = pictures.subset([2, 0])
    assert part.labels.tolist() == [0, 1]
    assert torch.equal(part[1], pictures[0])
    assert part.batch([0, 1]).shape == (2, 3, 6, 8)
    with pytest.raises(IndexError):
        pictures[3]


def test_an_image_folder_is_a_set(tmp_path: Path) -> None:
    for wnid, count in (("n1", 2), ("n2", 1)):
        (tmp_path / "zoo" / wnid).mkdir(parents=True)
        for i in range(count):
            (tmp_path / "zoo" / wnid / f"{i}.png").write_bytes(encoded((0, 9, 0)))
    pictures = open_pack("zoo", tmp_path)
    assert pictures.labels.tolist() == [0, 0, 1]
    assert pictures.pixels().shape == (3, 6, 8, 3)


def test_what_is_missing_is_said(tmp_path: Path, no_data: None) -> None:
    with pytest.raises(DataError, match="set HIERLIB_DATA"):
        open_pack("zoo")
    write_pack(tmp_path / "other.parquet", ["n1"])
    with pytest.raises(DataError, match="it holds other"):
        open_pack("zoo", tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read"):
        open_pack("bad", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        open_pack("empty", tmp_path)


def test_shapes_are_seeded_and_balanced() -> None:
    first, again, other = shapes(36, seed=4), shapes(36, seed=4), shapes(36, seed=5)
    assert torch.equal(first[7], again[7])
    assert not torch.equal(first[7], other[7])
    assert np.bincount(first.labels).tolist() == [2] * 18
    assert first[0].shape == (3, 64, 64)


def test_textures_differ_only_in_detail() -> None:
    """Spots and stripes vanish under a blur that keeps the outline: the level is fine by construction."""
    pictures = shapes(180, seed=1)
    energy: dict[str, list[float]] = {}
    for i in range(len(pictures)):
        image = pictures[i]
        smooth = torch.nn.functional.avg_pool2d(image, 9, 1, 4)
        energy.setdefault(CLASSES[pictures.labels[i]][2], []).append(float((image - smooth).abs().mean()))
    assert np.mean(energy["plain"]) < 0.9 * min(np.mean(energy["striped"]), np.mean(energy["spotted"]))


def test_the_shipped_table_is_the_drawn_one() -> None:
    table = hierarchy.load("shapes")
    assert table.wnids == class_ids()
    assert table.K == (2, 6, 18)
    header, *rows = shipped("hierarchies", "shapes.csv").read_text().splitlines()
    assert rows == [",".join(str(row[key]) for key in header.split(",")) for row in hierarchy_rows()]
