"""The list of measured results says how each file that ships was made, and makes it."""

import numpy as np
import pytest
from evaluation_toys import WNIDS, ByColour, FourBytes, hierarchy, pictures

from hierlib.evaluation import Results
from hierlib.evaluation.measure import ENDS, PLAN, Measurement, main, measure
from hierlib.files import shipped


def test_every_shipped_file_is_in_the_list_and_was_made_as_it_says():
    listed = {made.name: made for made in PLAN}
    assert len(listed) == len(PLAN)
    for path in (*shipped("results").glob("*.parquet"), *shipped("results").glob("refined/*.parquet")):
        made, meta = listed[path.stem], Results.load(path).meta
        assert meta["pictures"]["name"] == made.pictures
        assert meta["hierarchy"]["name"] == made.hierarchy
        assert meta["budgets"] == list(made.budgets)
        assert meta["level_ends"] == made.level_ends
        own_names = [f"{name}-classifier" if name.startswith("tiny") else name for name in made.classifiers]
        assert list(meta["classifiers"]) == own_names
        assert meta["codec"]["name"] == made.codec_name
        assert path == made.path(shipped("results"))


def test_every_set_has_ours_every_peer_and_somebody_no_training_saw():
    for name in {made.pictures for made in PLAN}:
        of_set = [made for made in PLAN if made.pictures == name]
        codecs = {made.codec for made in of_set}
        assert {"tiny", "jpeg2000", "jpeg-best", "webp-fresh", "avif-fresh", "jxl-fresh"} <= codecs
        ends = set(ENDS.get(name, ()))
        assert len({tuple(sorted({*made.budgets} - ends)) for made in of_set}) == 1
        assert {made.codec for made in of_set if ends & {*made.budgets}} == ({"photo", "jpeg2000"} if ends else set())
        assert all(ends & {*made.budgets} in (ends, set()) for made in of_set)
        assert len({made.classifiers[:2] for made in of_set}) == 1
        assert any(classifier != "tiny" for classifier in of_set[0].classifiers)


def test_a_measurement_is_made_and_leaves_nothing_else(tmp_path, monkeypatch):
    from hierlib import baselines, classifiers
    from hierlib import hierarchy as trees
    from hierlib.images import packs

    monkeypatch.setattr(baselines, "load", lambda name: FourBytes())
    monkeypatch.setattr(packs, "open_pack", lambda name: pictures([0, 1, 2, 3]))
    monkeypatch.setattr(trees, "load", lambda name: hierarchy(WNIDS))
    monkeypatch.setattr(classifiers, "load", lambda name: ByColour())
    made = Measurement("jpeg", "toys", "toy", ("by-colour",), (2, 3, 4))
    path = measure(made, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["jpeg-toys.parquet"]
    found = Results.load(path)
    assert found.classifiers == ("by colour",)
    assert np.allclose(found.table().set_index("point").loc["4 B", "top1"], 1)


def test_what_is_missing_is_a_sentence(tmp_path, monkeypatch, capsys):
    assert main(["tiny-somewhere"]) == 2
    assert "no result is called tiny-somewhere" in capsys.readouterr().err
    monkeypatch.delenv("HIERLIB_DATA", raising=False)
    assert main(["jpeg-best-imagenet-val227", "--out", str(tmp_path)]) == 2
    assert "HIERLIB_DATA" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("made", PLAN, ids=lambda made: made.name)
def test_budgets_rise(made):
    assert list(made.budgets) == sorted(set(made.budgets))
