"""The table of what updates of y do: by the plain codec's own files, and by what a search does to them."""

from __future__ import annotations

import pytest
import torch

import hierlib
from hierlib import classifiers, hierarchy
from hierlib.images.pictures import demonstration
from hierlib.views.searching import by_updates
from hierlib.views.subjects import open_codec


def test_rows_are_of_real_files():
    images = torch.stack(list(demonstration(64).values())[:3])
    namer, tree = classifiers.load("tiny"), hierarchy.load("tiny-clip")
    found = by_updates("tiny", images, namer, tree, (4,), 0.5, ["features="]).set_index("updates")
    streams = hierlib.load("tiny").encode_batch(images)
    assert found.index.tolist() == [0, 4]
    assert found.loc[0, "bytes"] == pytest.approx(sum(map(len, streams)) / 3)
    assert found.loc[4, "bytes"] != found.loc[0, "bytes"]
    assert found.loc[0, "cut_bytes"] == found.loc[4, "cut_bytes"] == sum(round(len(s) / 2) for s in streams) / 3
    assert (found["psnr_db"] > found["cut_psnr_db"]).all()
    assert found["cut_says_the_same"].between(0, 1).all()
    assert by_updates("dpict", images, namer, tree)["updates"].tolist() == [0]  # nobody searches for a peer


def test_a_searching_encoder_has_a_name_in_notebooks(monkeypatch):
    from hierlib.training import refine

    asked = []
    monkeypatch.setattr(refine, "load", lambda name: asked.append(name))
    open_codec("tiny-refined")
    assert asked == ["tiny"]
