"""LPIPS as an optional measure: the package's own numbers, a column where asked for, a sentence where it cannot be."""

import sys
import warnings
from urllib.error import URLError

import lpips
import numpy as np
import pytest
import torch
from evaluation_toys import ByColour, FourBytes, hierarchy, pictures

from hierlib.errors import DataError
from hierlib.evaluation import Results, evaluate
from hierlib.evaluation.perceptual import Lpips
from hierlib.evaluation.rate import rounded


@pytest.fixture
def measure():
    torch.manual_seed(0)
    return Lpips(random=True)


def test_is_that_of_the_package_on_eight_bit_pictures(measure):
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    a, b = torch.rand(2, 3, 64, 48), torch.rand(2, 3, 64, 48)
    with torch.no_grad():
        expected = theirs(rounded(a), rounded(b), normalize=True).view(-1)
    assert measure(a, b).tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert measure(a, a).tolist() == [0, 0]


def test_a_column_only_where_asked_for(measure, tmp_path):
    def run(**more):
        return evaluate(FourBytes(), pictures([0, 1]), hierarchy(), [ByColour()], (3,), progress=False, **more)

    assert "lpips" not in run().rows
    measure.name = "constant"
    results = run(lpips=measure)  # 6x6 pixels: too small for AlexNet
    assert results.rows["lpips"].isna().all()
    assert results.meta["lpips"] == "constant"
    again = Results.load(results.save(tmp_path / "r.json"))
    assert again.rows["lpips"].dtype == np.float64
    assert "lpips" in again.measures


def test_missing_package_or_weights_are_said_in_a_sentence(monkeypatch):
    def refuse(**_):
        raise URLError("no route")

    monkeypatch.setattr(lpips, "LPIPS", refuse)
    with pytest.raises(DataError, match=r"could not be downloaded .*no route.*leave LPIPS out"):
        Lpips()
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(DataError, match="pip install"):
        Lpips()
