"""The peers that refine intervals (DPICT, PICM, PLONQ): against scipy's normal, plain floats, fresh quantisation."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

import format_reference as reference
import numpy as np
import peers_reference
import pytest
import torch
from codec_toys import exported
from safetensors import safe_open
from safetensors.torch import save_file
from scipy.stats import norm

import hierlib
from hierlib.baselines.adopt import adopt, main
from hierlib.baselines.dpict import DPICT
from hierlib.baselines.intervals import Nested, digits, log2_fixed
from hierlib.baselines.picm import PICM, Controller, answers
from hierlib.baselines.plonq import PLONQ
from hierlib.baselines.trits import TritBlock, TritPlanes
from hierlib.codec import weights
from hierlib.codec.coders import MU_GRID
from hierlib.codec.model import HierCodec
from hierlib.codec.tables import LOG_SIGMA_MIN, LOG_SIGMA_STEP, SCALES, TOTAL, Tables, gaussian_rows
from hierlib.errors import BitstreamError, CheckpointError, DataError
from hierlib.images.shapes import shapes

GAUSSIANS = Tables(*gaussian_rows())
SIGMA = np.exp(LOG_SIGMA_MIN + LOG_SIGMA_STEP * np.arange(SCALES))
METHODS = (DPICT, PICM, PLONQ)


@pytest.fixture(scope="module")
def nested() -> Nested:
    return Nested(GAUSSIANS, digits(GAUSSIANS) - 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained weights of one block, adopted by each method."""
    folder = tmp_path_factory.mktemp("peers")
    tensors, about = exported(0, (56,))
    metadata = {"kind": weights.KIND, "about": json.dumps(about)}
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "backbone.safetensors", metadata=metadata)
    for method in [each.method for each in METHODS]:
        adopt(method, folder / "backbone.safetensors", folder / f"{method}.safetensors")
    return folder


@pytest.fixture(scope="module", params=[each.method for each in METHODS])
def codec(request: pytest.FixtureRequest, folder: Path) -> TritPlanes:
    found = hierlib.load(folder / f"{request.param}.safetensors")
    assert isinstance(found, TritPlanes)
    return found


@pytest.fixture(scope="module")
def stream(codec: TritPlanes) -> bytes:
    return codec.encode(shapes(3, seed=5)[1])


def interval(scale: int, j: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The integers of an interval and their probabilities, from scipy."""
    v = np.arange(3**j * k - 3**j // 2, 3**j * k + 3**j // 2 + 1)
    return v, norm.cdf((v + 0.5) / SIGMA[scale]) - norm.cdf((v - 0.5) / SIGMA[scale])


def likely(nested: Nested, least: float = 0.05) -> list[tuple[int, int, int]]:
    """(scale, j, k) of intervals that hold at least that much of their Gaussian, up to a sigma of 15.

    Beyond, the codec's tables themselves leave the Gaussian in its tails, where each of thousands of values has 2^-16.
    """
    each = [(s, j) for s in range(0, 41, 2) for j in range(1, nested.starts[s] + 1)]
    all_of_them = [(s, j, k) for s, j in each for k in range(-nested.reach[s, j], nested.reach[s, j] + 1)]
    return [(s, j, k) for s, j, k in all_of_them if interval(s, j, k)[1].sum() > least]


def row_of(nested: Nested, scale: int, j: int, k: int) -> int:
    """Of the symbol that splits the interval of k at j."""
    return int(nested.rows(np.array([scale]), j - 1, np.array([k]))[0])


def test_trits_hold_the_rows_and_no_more_than_they_must() -> None:
    """The paper's ceil(log3(2 kappa sigma)), but where a power of 3 lies between 2 kappa sigma and the row's length."""
    kappa = -norm.ppf(0.5e-9)
    found = digits(GAUSSIANS)
    for sigma, row, trits in zip(SIGMA, GAUSSIANS.lows, found):
        paper = max(1, math.ceil(math.log(2 * kappa * sigma, 3)))
        assert trits == paper or 2 * kappa * sigma <= 3**paper < 1 - 2 * row
    assert (np.diff(found) >= 0).all()


def test_probabilities_of_trits_are_the_normal_distributions(nested: Nested) -> None:
    for scale, j, k in likely(nested):
        row = row_of(nested, scale, j, k)
        begin = nested.tables.begins[row]
        found = np.diff(nested.tables.cumulative[begin : begin + 4]) / TOTAL
        wanted = interval(scale, j, k)[1].reshape(3, -1).sum(1)
        assert np.abs(found - wanted / wanted.sum()).max() < 0.01  # the rows are rounded to 2^-16, the rest is 0's


def test_what_is_shown_is_the_conditional_mean(nested: Nested) -> None:
    for scale, j, k in likely(nested):
        v, p = interval(scale, j, k)
        found = nested.means(*(np.array([x]) for x in (scale, j, k)))[0] / MU_GRID
        assert abs(found - (v * p).sum() / p.sum()) < 0.002 + 0.001 * 3**j
    untouched = nested.means(np.arange(SCALES), nested.starts + 1, np.zeros(SCALES, dtype=np.int64))
    assert (untouched == 0).all()


def float_gain(scale: int, j: int, k: int) -> float:
    """dD / dR by DPICT's definition."""
    v, p = interval(scale, j, k)

    def variance(v: np.ndarray, p: np.ndarray) -> float:
        return float((v**2 * p).sum() / p.sum() - ((v * p).sum() / p.sum()) ** 2)

    parts = list(zip(v.reshape(3, -1), p.reshape(3, -1)))
    share = np.array([part.sum() for _, part in parts]) / p.sum()
    gained = variance(v, p) - sum(s * variance(*part) for s, part in zip(share, parts))
    return gained / -(share * np.log2(share)).sum()


def test_the_priority_is_distortion_over_rate_by_its_definition(nested: Nested) -> None:
    chosen = likely(nested)
    found = np.array([nested.gains[row_of(nested, *each)] for each in chosen]) / 2**16
    wanted = np.array([float_gain(*each) for each in chosen])
    assert np.abs(found / wanted - 1).max() < 0.04
    order = wanted[np.argsort(-found, kind="stable")]
    assert (order[1:] <= order[:-1] * 1.05).all()
    assert (nested.gains > 0).all()


def test_logarithms_are_exact_to_their_last_bit() -> None:
    x = np.arange(1, 65537)
    off = log2_fixed(x) - np.floor(np.log2(x) * 2**16 + 1e-9)
    assert ((off == 0) | (off == -1)).all()
    assert (off == -1).sum() == 4


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.method)
@pytest.mark.parametrize("spread", [1.0, 40.0])
def test_any_latent_survives_and_every_count_keeps_it_inside_its_interval(
    method: type[TritPlanes], spread: float
) -> None:
    random = np.random.default_rng(3)
    index = random.integers(0, 50, (4, 6, 6))
    v = np.rint(random.normal(0, SIGMA[index] * spread)).astype(np.int64)
    v[0, 0] = [4_000_000, -4_000_000, 200, -31, 5, 0]  # far out of any row
    starts = method.starts(object.__new__(method), GAUSSIANS)
    block = TritBlock(index, np.full_like(v, 77), Nested(GAUSSIANS, starts), method.by_gain)
    while len(block.next_rows()):
        symbols = block.next_symbols(v.ravel())
        block.receive(symbols[:37], symbols[:37])  # in pieces, as a stream comes
    assert np.array_equal(block.values(), v + 77 / MU_GRID)
    assert block.levels(0) == 0
    assert block.levels(block.size) == block.nested.planes
    errors = [np.abs(block.values(count) - 77 / MU_GRID - v)[1:].mean() for count in range(0, block.size + 1, 29)]
    assert errors[-1] < errors[len(errors) // 2] < errors[0]


def test_rates_of_planes_are_those_of_whole_symbols() -> None:
    """Telling thirds one after the other costs what the symbol costs at once, but for rounding."""
    random = np.random.default_rng(4)
    for method in METHODS:
        nested = Nested(GAUSSIANS, method.starts(object.__new__(method), GAUSSIANS))
        for scale in (2, 12, 25, 40, 60):
            v = np.rint(random.normal(0, SIGMA[scale], (1, 40, 50))).astype(np.int64)
            block = TritBlock(np.full_like(v, scale), np.zeros_like(v), nested, method.by_gain)
            while len(block.next_rows()):
                symbols = block.next_symbols(v.ravel())
                block.receive(symbols, symbols)
            bits = nested.tables.ideal_bits(block.q, block.rows)
            assert bits == pytest.approx(GAUSSIANS.ideal_bits(v.ravel(), np.full(v.size, scale)), rel=0.002, abs=3)


def test_a_coarse_level_of_plonq_is_a_fresh_quantisation_at_its_step(folder: Path) -> None:
    codec = hierlib.load(folder / "plonq.safetensors")
    image = shapes(3, seed=5)[2]
    stream = codec.encode(image)
    y = codec.network.analyse(image[None])[0].double().numpy()
    received = codec.decoder().feed(stream).blocks[0]
    ends = codec.level_ends(stream)
    assert len(ends) == 3
    for step, end in zip((9, 3, 1), ends):
        part = codec.decoder().feed(stream[:end]).blocks[0]
        coarse = np.rint((part.values() - part.mu / MU_GRID) / step)  # the mean of a bin lies in the bin
        exact = (y - received.mu / MU_GRID) / step
        ties = np.abs(np.abs(exact - np.floor(exact)) - 0.5) < 1e-3
        assert np.array_equal(coarse[~ties], np.rint(exact)[~ties])
        assert np.abs(part.values() - y).max() < step


def test_every_cut_is_a_prefix_of_the_whole_and_the_whole_is_exact(codec: TritPlanes, stream: bytes) -> None:
    whole = codec.decoder().feed(stream)
    image = shapes(3, seed=5)[1]
    y = codec.network.analyse(image[None])[0].double().numpy()
    assert whole.trailer is not None
    assert np.abs(whole.blocks[0].values() - y).max() <= 0.5 + 1e-6
    assert np.array_equal(whole.blocks[0].values() * MU_GRID % MU_GRID, whole.blocks[0].mu % MU_GRID)  # q + mu, exactly
    cuts = [*range(0, len(stream), 5), *codec.level_ends(stream), len(stream) - 1, len(stream)]
    ladder = codec.decode_cuts(stream, cuts)
    for cut, at_once in zip(cuts, ladder):
        part = codec.decoder().feed(stream[:cut])
        for mine, all_of_it in zip(part.blocks, whole.blocks, strict=False):
            assert np.array_equal(mine.q, all_of_it.q[: len(mine.q)])
            assert np.array_equal(mine.needed_bytes, all_of_it.needed_bytes[: len(mine.q)])
        alone = part.picture()
        assert torch.equal(alone.image, at_once.image)
        facts = [(d.level, d.symbols, d.symbols_total, d.bytes_used, d.complete) for d in (alone, at_once)]
        assert facts[0] == facts[1]
    symbols = [decoded.symbols for _, decoded in sorted(zip(cuts, ladder), key=lambda each: each[0])]
    assert symbols == sorted(symbols)
    assert ladder[-1].symbols == ladder[-1].symbols_total
    assert ladder[-1].level == codec.levels
    assert ladder[-1].complete


def test_levels_are_complete_where_their_ends_say(codec: TritPlanes, stream: bytes) -> None:
    ends = codec.level_ends(stream)
    assert len(ends) == codec.levels
    assert list(ends) == sorted(ends)
    for end in set(ends):
        assert codec.decode(stream[:end]).level == sum(e <= end for e in ends)
        assert codec.decode(stream[: end - 1]).level < sum(e <= end for e in ends)


def test_bytes_that_come_in_pieces_show_the_same(codec: TritPlanes, stream: bytes) -> None:
    decoder = codec.decoder()
    for start in range(0, len(stream), 41):
        decoder.feed(stream[start : start + 41])
        assert torch.equal(decoder.picture().image, codec.decode(stream[: start + 41]).image)
    assert codec.encode(shapes(3, seed=5)[1], max_bytes=100) == stream[:100]


def test_real_bytes_are_the_estimated_bits_and_any_size_goes(codec: TritPlanes) -> None:
    for size in ((64, 64), (5, 130), (65, 63)):
        image = torch.rand(3, *size)
        stream, bits = codec.encode_with_estimate(image)
        assert bits / 8 < len(stream) < bits / 8 * 1.002 + 24
        assert codec.decode(stream).image.shape == image.shape


def test_damage_gives_a_picture_or_a_sentence(codec: TritPlanes, stream: bytes) -> None:
    random = np.random.default_rng(1)
    for _ in range(150):
        broken = bytearray(stream)
        for position in random.integers(5, len(stream), random.integers(1, 4)):
            broken[position] = random.integers(0, 256)
        cut = broken[: random.integers(0, len(stream) + 1)] + random.bytes(int(random.integers(0, 3)))
        with contextlib.suppress(BitstreamError):
            decoded = codec.decode(bytes(cut))
            assert torch.isfinite(decoded.image).all()
    with pytest.raises(BitstreamError):
        codec.decode(stream + b"\0")


def test_a_trit_beyond_its_third_is_damage(nested: Nested) -> None:
    """The rows of thirds have an escape, as all rows; no encoder sends it."""
    block = TritBlock(np.full((1, 1, 1), 20), np.zeros((1, 1, 1), dtype=np.int64), nested, True)
    block.next_rows()
    block.receive(np.array([1]), np.array([1]))
    block.next_rows()
    with pytest.raises(BitstreamError, match="outside of its interval"):
        block.receive(np.array([2]), np.array([1]))


def test_one_method_refuses_the_streams_of_another(folder: Path) -> None:
    loaded = {method: hierlib.load(folder / f"{method}.safetensors") for method in ("dpict", "picm", "plonq")}
    assert len({codec.fingerprint for codec in loaded.values()}) == len(loaded)
    stream = loaded["dpict"].encode(shapes(1)[0])
    with pytest.raises(BitstreamError, match="not by plonq"):
        loaded["plonq"].decode(stream)
    with pytest.raises(CheckpointError, match="method dpict"):
        weights.load(folder / "dpict.safetensors")


def test_adopting_halves_a_file_and_changes_only_the_last_digits(folder: Path, capsys: pytest.CaptureFixture) -> None:
    of_backbone, of_peer = (folder / f"{name}.safetensors" for name in ("backbone", "dpict"))
    assert of_peer.stat().st_size < 0.75 * of_backbone.stat().st_size
    before, after = hierlib.load(of_backbone).network.g_s.state_dict(), hierlib.load(of_peer).network.g_s.state_dict()
    for key, value in before.items():
        assert torch.allclose(value, after[key], rtol=1e-3, atol=1e-6)
    assert weights.read(of_peer)[1]["method"] == "dpict"
    assert main(["trits", str(of_backbone), "-o", str(folder / "no.safetensors")]) == 2
    refusal = capsys.readouterr().err
    assert "there are blocks, ctc, deephq, dpict, efficientpic, limitnet, picm, plonq, progdtd" in refusal
    assert main(["blocks", str(of_backbone), "-o", str(folder / "half.safetensors")]) == 0
    assert type(hierlib.load(folder / "half.safetensors")) is HierCodec
    assert main(["plonq", str(of_backbone), "-o", str(folder / "full.safetensors"), "--full"]) == 0
    assert (folder / "full.safetensors").stat().st_size > of_peer.stat().st_size * 1.3


def test_dpict_sends_what_gains_most_first_and_picm_the_largest_sigma(folder: Path) -> None:
    """In the last plane, by the float definition; both end with the same y_hat."""
    image = shapes(3, seed=5)[0]
    shown = {}
    for name in ("dpict", "picm"):
        codec = hierlib.load(folder / f"{name}.safetensors")
        block = codec.decoder().feed(codec.encode(image)).blocks[0]
        shown[name] = block.values()
        last = block.index.ravel()[block.order]
        if name == "picm":
            assert (np.diff(last) <= 0).all()
        else:
            assert (np.diff(block.nested.gains[block._plane_rows[-1]]) <= 0).all()
            assert (np.diff(last) > 0).any()
    assert np.array_equal(shown["dpict"], shown["picm"])


def test_a_controller_stops_where_its_curves_say_and_is_as_right_as_wanted(folder: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    confidence = random.uniform(0.3, 1, (4000, 3)) * [0.6, 0.8, 1.0]
    right = random.uniform(size=confidence.shape) < confidence**2  # overconfident: the share right is its square
    controller = Controller.fit((40, 90), confidence[:2000], right[:2000])
    for wanted in (0.3, 0.5):
        stops = np.array([controller.first(row, wanted) for row in confidence[2000:]])
        sure = [controller.probability(i, c) >= wanted for i, c in zip(stops, confidence[2000:][range(2000), stops])]
        reached = right[2000:][range(2000), stops][sure]
        assert 0 < stops.mean() < 2
        assert reached.mean() >= wanted
    controller.save(tmp_path / "controller.json")
    assert Controller.load(tmp_path / "controller.json") == controller
    (tmp_path / "controller.json").write_text("[]")
    with pytest.raises(DataError, match="no controller"):
        Controller.load(tmp_path / "controller.json")
    with pytest.raises(DataError, match="two pictures"):
        Controller.fit((40,), confidence, right)


def test_a_receiver_reads_no_more_than_it_needs(folder: Path) -> None:
    codec = hierlib.load(folder / "picm.safetensors")
    image = shapes(3, seed=5)[1]
    stream = codec.encode(image)
    asked: list[int] = []

    def ask(images: torch.Tensor) -> torch.Tensor:
        asked.extend([1] * len(images))
        return torch.tensor([[0.2, 0.8]]).expand(len(images), 2)

    answer, confidence, received = answers(codec, [image], ask, (60, 120))
    assert answer.tolist() == [[1, 1, 1]]
    assert np.allclose(confidence, 0.8)
    assert received.tolist() == [[60, 120, len(stream)]]
    flat = ((0.8, 0.9),) * 3
    asked.clear()
    chunks = [stream[i : i + 25] for i in range(0, len(stream), 25)]
    stopped = Controller((60, 120), flat, ((0.1, 0.1), (0.7, 0.7), (0.9, 0.9))).receive(codec, chunks, ask, 0.6)
    assert (stopped.bytes, stopped.answer, stopped.sure, len(asked)) == (120, 1, True, 2)
    assert torch.equal(stopped.decoded.image, codec.decode(stream[:120]).image)
    unsure = Controller((60, 120), flat, ((0.1, 0.1),) * 3).receive(codec, chunks, ask, 0.6)
    assert (unsure.bytes, unsure.sure, unsure.decoded.complete) == (len(stream), False, True)


def test_a_controller_is_fitted_on_some_pictures_and_tried_on_others(folder: Path, tmp_path: Path) -> None:
    """Of drawn shapes, whose classifier travels with the project; the table is what the controller does on the rest."""
    from hierlib import classifiers, hierarchy
    from hierlib.evaluation.controller import CHECKPOINTS, asked, tried

    codec, drawn = hierlib.load(folder / "picm.safetensors"), shapes(60, seed=9)
    tree = hierarchy.load("shapes").restrict(drawn.wnids)
    ask = asked(classifiers.load("shapes"), tree, tree.levels[0])
    truth = tree.groups[0][drawn.labels]
    controller, table = tried(codec, drawn, ask, truth, (0.2, 0.6, 1.01))
    assert table["n"].tolist() == [30] * 3
    assert table["bytes"].is_monotonic_increasing
    assert table["saved"].iloc[-1] == 0
    assert table["sure"].iloc[-1] == 0  # nobody is surer than sure
    first = drawn[1]
    stream = codec.encode(first)
    stopped = controller.receive(codec, [stream], ask, 0.2)
    assert stopped.bytes in (*CHECKPOINTS, len(stream))


@pytest.mark.parametrize("method", ["dpict", "picm", "plonq"])
def test_a_decoder_written_from_the_text_agrees(folder: Path, method: str) -> None:
    """FORMAT.md's section 9 is enough: symbols and y_hat of every cut tried are those of a stranger."""
    path = folder / f"{method}.safetensors"
    codec, files = hierlib.load(path), reference.Weights(path)
    with safe_open(path, "np") as file:
        files.fingerprint = peers_reference.fingerprint({k: file.get_tensor(k) for k in file.keys()}, method)  # noqa: SIM118
    assert files.fingerprint == codec.fingerprint
    image = shapes(3, seed=5)[2]
    stream = codec.encode(image)
    for cut in (3, 10, 17, 60, 150, len(stream) // 2, len(stream)):
        said, block = peers_reference.decode(stream[:cut], files, method), None
        for block in codec.decoder().feed(stream[:cut]).blocks:
            assert block.q.tolist() == said.symbols
        if block is None or block.begun_bytes is None:
            assert said.y_hat is None
        else:
            assert np.array_equal(block.values(), said.y_hat)
