"""Fig. 6: pictures whose answer climbs, found in rows and drawn with answers and similarities."""

import numpy as np
import pandas as pd
import pytest
import torch
from views_toys import Pyramid, picture

from hierlib.baselines.jpeg2000 import LayeredJPEG2000
from hierlib.errors import DataError
from hierlib.evaluation import Results
from hierlib.hierarchy.wordnet import shipped_wordnet
from hierlib.views import climbing
from hierlib.views.subjects import Subject

VULTURE, AIRLINER, GROUSE, KITE = "n01616318", "n02690373", "n01795545", "n01608432"


def results(answers, decodable=None):
    """One classifier; each picture's answers at 10, 20, 40, 80 bytes; all show a vulture."""
    net = shipped_wordnet()
    rows = [
        {
            "picture": p,
            "wnid": VULTURE,
            "classifier": "toy",
            "kind": "budget",
            "budget_bytes": 10 * 2**k,
            "bytes": 10 * 2**k,
            "decodable": decodable is None or decodable[p][k],
            "top1_wnid": answer,
            "wup": net.wup(answer, VULTURE),
        }
        for p, of_picture in enumerate(answers)
        for k, answer in enumerate(of_picture)
    ]
    meta = {"pictures": {"name": "birds", "n": len(answers)}, "hierarchy": {"levels": []}}
    return Results(pd.DataFrame(rows), meta)


def test_the_papers_vulture_climbs():
    found = climbing.climbing(
        results(
            [
                [VULTURE] * 4,  # known at once
                [AIRLINER, KITE, GROUSE, VULTURE],  # goes astray
                [AIRLINER, GROUSE, KITE, KITE],  # never arrives
                [KITE, KITE, VULTURE, VULTURE],  # one step
                [AIRLINER, GROUSE, KITE, VULTURE],  # the paper's, and then the truth
            ]
        )
    )
    assert found["picture"].tolist() == [4, 3]
    assert found["rises"].tolist() == [3, 1]
    assert set(found["truth"]) == {"vulture"}
    for step in ("airliner 0.320 at 10 B", "black grouse 0.769 at 20 B", "kite (bird of prey) 0.880 at 40 B"):
        assert step in found["path"][0]


def test_a_guess_is_no_step():
    found = climbing.climbing(results([[KITE, AIRLINER, GROUSE, VULTURE]], [[False, True, True, True]]))
    assert found["rises"].tolist() == [2]
    with pytest.raises(DataError, match="no WUP"):
        climbing.climbing(Results(results([[KITE] * 4]).rows.drop(columns="wup"), {"pictures": {"name": "shapes"}}))


class ByLight:
    """A bright picture is a vulture, a grey one a kite, a dark one an airliner."""

    name, wnids = "by light", (VULTURE, KITE, AIRLINER)

    def __call__(self, images):
        light = images.mean((1, 2, 3))
        return -torch.stack([(light - 0.9).abs(), (light - 0.5).abs(), (light - 0.1).abs()], 1)


def test_steps_and_figure_tell_answer_and_similarity():
    bright = Subject("bright", torch.full((3, 64, 64), 0.95), VULTURE)
    steps = climbing.steps(Pyramid(), bright, ByLight(), (1, 5, 5000))
    assert [step.answer for step in steps] == [climbing.class_names()[w] for w in (KITE, VULTURE, VULTURE)]
    assert [step.wup for step in steps] == pytest.approx([0.88, 1, 1])
    assert [step.bytes for step in steps][:2] == [1, 5]
    assert steps[0].bpp == pytest.approx(8 / 64**2)
    (nothing,) = climbing.steps(LayeredJPEG2000(), bright, ByLight(), (10,))
    assert nothing.answer == ""
    figure = climbing.qualitative([LayeredJPEG2000()], bright, ByLight(), (10,))
    assert figure.axes[1].get_xlabel() == "no file so small"
    figure = climbing.qualitative([Pyramid(), Pyramid()], bright, ByLight(), (1, 5))
    assert len(figure.axes) == 6
    assert "WUP = 0.880" in figure.axes[1].get_xlabel()
    assert figure.axes[0].get_ylabel() == "pyramid"
    with pytest.raises(DataError, match="no WordNet id"):
        climbing.steps(Pyramid(), Subject("red", picture("red")), ByLight(), (1,))


def test_our_own_results_are_those_of_a_learned_codec():
    first, second = results([[KITE] * 4]), results([[VULTURE] * 4])
    for result, name in ((first, "jpeg2000"), (second, "tiny")):
        result.meta["codec"] = {"name": name}
    assert climbing.ours({"a": [first], "b": [first, second]}) is second
    assert climbing.ours({"a": [first]}) is None


def test_pictures_come_from_the_pack_or_are_photographs(monkeypatch):
    shown = results([[AIRLINER, GROUSE, KITE, VULTURE]])
    found = climbing.climbing(shown)
    monkeypatch.delenv("HIERLIB_DATA", raising=False)
    assert [s.name for s in climbing.pictures_of(shown, found)] == ["coffee", "chelsea"]
    assert [s.name for s in climbing.pictures_of(None, (), 1)] == ["coffee"]
    from hierlib.images.packs import PictureSet

    pack = PictureSet("birds", (VULTURE,), ("vulture",), np.zeros(1, np.int64), lambda i: torch.zeros(3, 8, 8))
    monkeypatch.setattr(climbing, "picture_set", lambda name: pack)
    (only,) = climbing.pictures_of(shown, found)
    assert (only.name, only.wnid) == ("picture 0", VULTURE)
