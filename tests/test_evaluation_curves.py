"""Curves, N*_K, rates and intervals against answers known otherwise."""

import itertools
import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation_toys import ByColour, FourBytes, hierarchy, pictures

from hierlib.errors import DataError
from hierlib.evaluation import Results, bd_rate, bytes_at_equal_accuracy, evaluate, mean_over_log_bytes, n_star
from hierlib.evaluation.curves import bootstrap, bytes_at, paired_difference
from hierlib.evaluation.rate import _on_scales, bpp, estimation_gap, ms_ssim, ms_ssim_scales, psnr_db
from hierlib.evaluation.semantic import median_bytes, survival


def test_a_dip_of_half_a_point_does_not_explode():
    doubling = [100, 200, 400, 800]
    dipping, steady = [20, 44, 43.5, 58], [17, 32, 47, 55]
    found = bd_rate(doubling, steady, doubling, dipping)
    assert found.percent == pytest.approx(-22.5, abs=0.1)
    assert (found.low, found.high) == pytest.approx((20, 55), abs=1e-3)
    assert found.overlap == pytest.approx(35 / 41, abs=1e-3)
    gain = mean_over_log_bytes(doubling, dipping) - mean_over_log_bytes(doubling, steady)
    assert gain == pytest.approx(23 / 6)


def test_half_the_bytes_at_every_accuracy_is_minus_fifty_percent():
    n, accuracy = np.array([64, 100, 300, 900]), np.array([0.1, 0.3, 0.35, 0.6])
    assert bd_rate(n, accuracy, n / 2, accuracy).percent == pytest.approx(-50)
    assert bd_rate(n / 2, accuracy, n, accuracy).percent == pytest.approx(100)
    assert bd_rate(n, accuracy, n, accuracy).percent == pytest.approx(0)
    shuffled = [2, 0, 3, 1]
    assert bd_rate(n[shuffled], accuracy[shuffled], n / 2, accuracy).percent == pytest.approx(-50)


def test_disjoint_accuracies_have_no_rate():
    found = bd_rate([1, 2], [0.1, 0.2], [1, 2], [0.3, 0.4])
    assert np.isnan(found.percent)
    assert found.overlap == 0


def test_bytes_at_an_accuracy():
    n, accuracy = [64, 128, 256, 512], [0.2, 0.4, 0.4, 0.8]
    assert bytes_at(n, accuracy, 0.2) == pytest.approx(64)
    assert bytes_at(n, accuracy, 0.8) == pytest.approx(512, rel=1e-4)
    assert 64 < bytes_at(n, accuracy, 0.3) < 128
    assert np.isnan(bytes_at(n, accuracy, 0.19))
    assert np.isnan(bytes_at(n, accuracy, 0.81))


def test_mean_over_a_part_of_the_curve():
    n, accuracy = [1, 4, 16], [0.0, 0.4, 0.6]
    assert mean_over_log_bytes(n, accuracy) == pytest.approx((0.2 + 0.5) / 2)
    assert mean_over_log_bytes(n, accuracy, 2, 8) == pytest.approx((0.3 + 0.45) / 2)
    for low, high in ((0.5, 4), (2, 32), (4, 4)):
        with pytest.raises(DataError, match="covers"):
            mean_over_log_bytes(n, accuracy, low, high)


@pytest.mark.parametrize(("n", "accuracy"), [([1], [1]), ([1, 1], [1, 2]), ([0, 1], [1, 2]), ([1, 2], [1, np.nan])])
def test_what_is_no_curve(n, accuracy):
    with pytest.raises(DataError):
        mean_over_log_bytes(n, accuracy)


def test_bootstrap_interval_is_the_normal_one_for_many_pictures():
    values = np.random.default_rng(1).normal(0.02, 0.5, 3000)
    found = bootstrap(values)
    half = 1.96 * values.std(ddof=1) / len(values) ** 0.5
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.15 * half)
    assert bootstrap(values) == found
    same = bootstrap(np.full(9, 0.25))
    assert (same.low, same.mean, same.high, same.n) == (0.25, 0.25, 0.25, 9)
    assert bootstrap([1.0, np.nan]).n == 1
    with pytest.raises(DataError):
        bootstrap([np.nan])


def toy(codec, budgets=(3, 4, 50)):
    return evaluate(codec, pictures([0, 1, 2, 3]), hierarchy(), [ByColour()], budgets, progress=False)


class Blind(FourBytes):
    """Never learns green."""

    name = "blind"

    def decode(self, prefix):
        return super().decode(prefix[:3])


def test_differences_are_paired_by_picture():
    frame = paired_difference(toy(Blind()), toy(FourBytes()), "right_thing")
    assert frame["budget_bytes"].tolist() == [3, 4, 50]
    assert frame["difference"].tolist() == [0, 0.5, 0.5]  # dog and bus of four
    assert frame["n"].tolist() == [4, 4, 4]
    assert frame["low"][0] == frame["high"][0] == 0
    assert 0 <= frame["low"][1] < 0.5 < frame["high"][1] <= 1
    with pytest.raises(DataError, match="same pictures"):
        others = evaluate(FourBytes(), pictures([0, 1]), hierarchy(), [ByColour()], [3], progress=False)
        paired_difference(toy(Blind()), others, "right_thing")
    with pytest.raises(DataError, match="right_zebra"):
        paired_difference(toy(Blind()), toy(FourBytes()), "right_zebra")


def test_bytes_at_equal_accuracy_of_two_results():
    frame = bytes_at_equal_accuracy(
        toy(Blind(), (3, 4)), toy(FourBytes(), (2, 3, 4)), "probability_thing", accuracies=[0.5]
    )
    assert frame["ratio"].isna().all()  # blind never gets there
    assert 3 < frame["test_bytes"][0] <= 4


def ladder(verdicts, decodable=None):
    """Results of pictures whose answers along 10, 20, 40, 80 bytes are given by hand."""
    rows = [
        {"picture": p, "classifier": "c", "kind": "budget", "bytes": n, "right_kind": right, "decodable": seen}
        for p, answers in enumerate(verdicts)
        for n, right, seen in zip((10, 20, 40, 80), answers, (decodable or [[1] * 4] * len(verdicts))[p], strict=True)
    ]
    frame = pd.DataFrame(rows).astype({"right_kind": bool, "decodable": bool})
    return Results(frame, {"hierarchy": {"levels": ["kind"], "K": [2]}})


def test_right_and_stays_right():
    verdicts = [[1, 1, 1, 1], [0, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 0], [0, 0, 0, 0]]
    settled = n_star(ladder(verdicts), "kind")
    assert settled.fillna(-1).tolist() == [10, 20, 40, 80, -1, -1]
    assert survival(settled, [9, 10, 40, 80]).tolist() == pytest.approx([1, 5 / 6, 3 / 6, 2 / 6])
    assert median_bytes(settled) == 40
    assert np.isnan(median_bytes(settled.iloc[3:]))
    with pytest.raises(DataError, match="kind"):
        n_star(ladder(verdicts), "species")


def test_a_guess_is_not_an_answer():
    settled = n_star(ladder([[1, 1, 1, 1]], [[0, 0, 1, 1]]), "kind")
    assert settled.tolist() == [40]


def test_n_star_of_a_sweep():
    results = toy(FourBytes(padding=3), (2, 3, 4, 50))
    assert n_star(results, "kind").tolist() == [3] * 4
    assert n_star(results, "thing").tolist() == [3, 4, 3, 4]
    assert n_star(results, "thing", of_top1=True).tolist() == [3, 4, 3, 4]


def noisy(side, sigma, n=2):
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(n, 3, side, side, generator=generator)
    return clean, (clean + sigma * torch.randn(clean.shape, generator=generator)).clamp(0, 1)


def test_psnr_is_that_of_8_bit_pictures():
    from skimage.metrics import peak_signal_noise_ratio

    clean, worse = noisy(20, 0.1)
    for k, value in enumerate(psnr_db(clean, worse)):
        a, b = ((x[k] * 255).round().numpy().astype(np.uint8) for x in (clean, worse))
        assert float(value) == pytest.approx(peak_signal_noise_ratio(a, b))
    on_grid = (clean * 255).round() / 255
    assert psnr_db(on_grid, on_grid + 0.4 / 255).tolist() == [100, 100]  # a viewer sees no difference
    assert psnr_db(clean, clean).tolist() == [100, 100]


def test_ms_ssim_is_the_librarys_where_it_has_one():
    from pytorch_msssim import ms_ssim as library
    from pytorch_msssim import ssim

    clean, worse = noisy(176, 0.2)
    rounded = [(x * 255).round() for x in (clean, worse)]
    expected = library(*rounded, data_range=255, size_average=False)
    assert torch.allclose(ms_ssim(clean, worse), expected)
    assert torch.allclose(_on_scales(*rounded, 5), expected, atol=1e-5)
    small = [x[..., :16, :20] for x in (clean, worse)]
    one = ssim(*((x * 255).round() for x in small), data_range=255, size_average=False)
    assert torch.allclose(ms_ssim(*small), one, atol=1e-6)


@pytest.mark.parametrize("side", [1, 2, 10, 11, 21, 64, 161])
def test_ms_ssim_of_small_pictures_falls_with_noise(side):
    values = [float(ms_ssim(*noisy(side, sigma)).mean()) for sigma in (0, 0.1, 0.4)]
    assert values[0] == pytest.approx(1)
    assert values[0] > values[1] > values[2] >= 0


def test_scales_leave_room_for_the_window():
    for side in range(1, 200):
        scales = ms_ssim_scales(side, 300)
        assert scales == 1 or side > 10 * 2 ** (scales - 1)
        assert scales == 5 or side <= 10 * 2**scales
    assert ms_ssim_scales(300, 64) == 3


def test_rates():
    assert bpp(491, 256, 256) == pytest.approx(0.06, abs=1e-4)
    assert estimation_gap(1000, 126) == pytest.approx(0.008)
    with pytest.raises(ValueError, match="estimate"):
        estimation_gap(0, 1)


def test_compressai_reads_our_curve(tmp_path):
    results = toy(FourBytes(), (3, 4))
    path = results.to_compressai_json(tmp_path / "toy.json")
    content = json.loads(path.read_text())
    assert content["name"] == "four bytes"
    assert content["results"]["top1-K2"] == [1, 1]
    assert content["results"]["top1-K4"] == [0.5, 1]
    assert content["results"]["bpp"] == pytest.approx([24 / 36, 32 / 36])
    assert {len(values) for values in content["results"].values()} == {2}
    compressai = pytest.importorskip("compressai.utils.plot.__main__")
    read = compressai.parse_json_file(path, "psnr")
    assert list(read["xs"]) == content["results"]["bpp"]
    assert list(read["ys"]) == content["results"]["psnr-rgb"]


def test_the_room_imports_lightly():
    import subprocess

    heavy = ("torch", "pandas", "sklearn", "scipy", "pytorch_msssim", "compressai", "matplotlib")
    code = f"import hierlib.evaluation, sys; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(itertools.chain(eval(found.stdout))) <= {"torch"}
