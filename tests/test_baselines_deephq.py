"""DeepHQ: intervals by hand and by brute force, the Gaussian against scipy, masks against the published formula."""

from __future__ import annotations

import copy

import deephq_reference
import numpy as np
import pytest
import torch
from peer_toys import exported, peer_codec, untrained
from scipy.stats import norm, truncnorm

from hierlib.baselines import steps
from hierlib.baselines.deephq import LEVELS, DeepHQ, LadderCoder, ThreeStages
from hierlib.baselines.levels import LevelBlock
from hierlib.codec.coders import MU_GRID
from hierlib.codec.tables import SCALES
from hierlib.errors import BitstreamError
from hierlib.images.shapes import shapes


@pytest.fixture(scope="module")
def codec() -> DeepHQ:
    found = peer_codec("deephq")
    assert isinstance(found, DeepHQ)
    return found


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return shapes(3, seed=5)[1]


@pytest.fixture(scope="module")
def block(codec: DeepHQ, image: torch.Tensor) -> LevelBlock:
    found = codec.decoder().feed(codec.encode(image)).blocks[0]
    assert isinstance(found, LevelBlock)
    return found


def residual(codec: DeepHQ, image: torch.Tensor, block: LevelBlock) -> np.ndarray:
    """(n,) y - mu in units of 1/256."""
    y = codec.network.analyse(image[None])[0].double().numpy()
    return (y * MU_GRID - block.mu).ravel()


# -- the quantiser


def test_parts_are_the_nearest_whole_number_and_hold_every_value_once() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        low = int(random.integers(-900, 900))
        high, step = low + int(random.integers(1, 700)), 2 * int(random.integers(16, 300))
        n = int(steps.parts(*np.array([[low], [high], [step]]))[0])
        odd = low <= 0 < high
        allowed = range(1, 99, 2 if odd else 1)
        assert abs(n - (high - low) / step) == min(abs(each - (high - low) / step) for each in allowed)
        cuts = [low + k * (high - low) // n for k in range(n + 1)]
        for value in range(low, high):
            which = int(steps.part_of(value, low, high, n))
            assert cuts[which] <= value < cuts[which + 1]
            assert steps.part(which, low, high, n) == (cuts[which], cuts[which + 1])
        assert max(np.diff(cuts)) - min(np.diff(cuts)) <= 1


def test_numpy_and_torch_see_the_same_intervals() -> None:
    random = np.random.default_rng(1)
    value, low = random.integers(-4000, 4000, (2, 500))
    high, step = low + random.integers(1, 2000, 500), 2 * random.integers(32, 1000, 500)
    value = np.clip(value, low, high - 1)
    for function, inputs in (
        (steps.first, (value, step)),
        (steps.parts, (low, high, step)),
        (steps.part_of, (value, low, high, steps.parts(low, high, step))),
    ):
        mine, theirs = np.array(function(*inputs)), function(*map(torch.from_numpy, inputs))
        assert np.array_equal(mine, np.array([each.numpy() for each in theirs] if len(theirs) == 3 else theirs))


def test_the_gaussian_of_the_table_is_scipys() -> None:
    sums = steps.normal_sums()
    places = np.arange(len(sums)) / steps.CELLS
    assert np.abs(sums / 2**40 - (norm.cdf(places) - 0.5)).max() < 1e-11
    fine = 2.0**steps.FRACTION * steps.CELLS / (MU_GRID * steps.SIGMAS)
    assert np.abs(np.abs(fine - np.floor(fine)) - 0.5).min() > 1e-3  # no machine's exp rounds them otherwise
    index = np.repeat(np.arange(SCALES), 50)
    x = np.random.default_rng(2).integers(-80_000, 80_000, len(index))
    wanted = norm.cdf(x / MU_GRID / steps.SIGMAS[index]) - 0.5
    assert np.abs(steps.mass_up_to(index, x) / 2**40 - wanted).max() < 3e-6


def test_rows_are_masses_within_the_interval() -> None:
    """First symbols and parts, in the middle, in the tail, and where the Gaussian has nothing left."""
    index = np.array([20, 20, 31, 31, 0, 40])
    step = np.array([256, 640, 128, 300, 64, 64])
    low, high = np.array([0, 0, -192, 500, 5000, 100]), np.array([0, 0, 192, 1100, 5256, 1000])
    tables, rows = steps.level_rows(index, step, low, high)
    for i, row in enumerate(rows):
        sums = tables.cumulative[tables.begins[row] : tables.begins[row + 1]]
        found = np.diff(sums)[:-1] / 65536
        assert sums[0] == 0
        assert sums[-1] - sums[-2] == 1
        assert (np.diff(sums) > 0).all()
        if low[i] == high[i]:
            edges = (np.arange(len(found) + 1) + tables.lows[row] - 0.5) * step[i]
            assert len(found) % 2 == 1
        else:
            edges = np.linspace(low[i], high[i], len(found) + 1)
            assert tables.lows[row] == 0
        mass = np.diff(norm.cdf(edges / MU_GRID / steps.SIGMAS[index[i]]))
        wanted = mass / mass.sum() if mass.sum() > 1e-9 else np.full(len(mass), 1 / len(mass))
        assert np.abs(found - wanted).max() < 2e-3
    assert [len(np.diff(tables.cumulative[tables.begins[r] : tables.begins[r + 1]])) - 1 for r in rows[2:]] == [
        3,
        2,
        4,
        14,
    ]


def test_a_mean_is_that_of_a_truncated_gaussian() -> None:
    low, high, sigma = (torch.tensor(each, dtype=torch.float64) for each in (
        [-1.0, 0.5, 3.0, -9.0, 40.0, 0.0], [1.0, 2.0, 3.1, -8.0, 41.0, 0.0], [0.3, 1.0, 2.0, 1.0, 0.11, 1.0]
    ))  # fmt: skip
    found = steps.means(low, high, sigma).numpy()
    for i in range(4):
        a, b, s = float(low[i]), float(high[i]), float(sigma[i])
        assert found[i] == pytest.approx(truncnorm.mean(a / s, b / s, scale=s), abs=1e-6)
    assert 40 <= found[4] <= 41
    assert found[5] == 0


# -- the stream


def test_an_element_by_hand(codec: DeepHQ, image: torch.Tensor, block: LevelBlock) -> None:
    """In Python's integers: from y - mu and the steps to every symbol of forty elements."""
    fine, sizes = residual(codec, image, block), codec.sizes
    symbols = np.split(block.q, block._ends[:-1])
    for element in range(0, block.index.size, block.index.size // 40):
        value, entry, interval = int(np.floor(fine[element])), int(block.index.flat[element]) // SCALES, None
        for level in range(entry, LEVELS):
            step = int(sizes[level, element // 16])
            if interval is None:
                symbol = (value + step // 2) // step
                interval = symbol * step - step // 2, symbol * step - step // 2 + step
            else:
                low, high = interval
                ratio = (high - low) / step
                n = 2 * int(ratio / 2) + 1 if low <= 0 < high else max(1, int(ratio + 0.5))
                cuts = [low + k * (high - low) // n for k in range(n + 1)]
                symbol = max(k for k in range(n) if cuts[k] <= value)
                interval = cuts[symbol], cuts[symbol + 1]
            assert symbols[level][list(block._orders[level]).index(element)] == symbol
        if interval:
            assert [each[element] for each in block.intervals()] == list(interval)


def test_intervals_only_shrink_and_hold_y(codec: DeepHQ, image: torch.Tensor, block: LevelBlock) -> None:
    fine, before = residual(codec, image, block), None
    errors = []
    for end in [0, *block._ends]:
        low, high = block.intervals(int(end))
        begun = high > low
        assert ((low <= fine) & (fine < high))[begun].all()
        if before is not None:
            old = before[1] > before[0]
            assert (begun >= old).all()
            assert ((low >= before[0]) & (high <= before[1]))[old].all()
        before = low, high
        shown = (block.values(int(end)) * MU_GRID - block.mu).ravel()
        assert ((shown >= low) & (shown <= high))[begun].all()
        assert (shown[~begun] == 0).all()
        errors.append(np.mean((shown - fine) ** 2))
    assert (np.diff(errors) < 0).all()
    scale = block._scale
    for level, order in enumerate(block._orders):
        assert (np.diff(scale[order]) <= 0).all()
        assert sorted(order) == list(np.flatnonzero(block._entry <= level))


def test_the_coarse_level_is_a_fresh_quantisation_at_its_ideal_cost(codec: DeepHQ, image: torch.Tensor) -> None:
    stream = codec.encode(image)
    end = codec.level_ends(stream)[0]
    part = codec.decoder().feed(stream[:end]).blocks[0]
    assert isinstance(part, LevelBlock)
    at = part._orders[0]
    wanted = np.floor(residual(codec, image, part)[at] / part._sizes[0][at] + 0.5)
    assert np.array_equal(part.q[: len(at)], wanted)
    z = np.floor(
        codec.network.h_a(codec.network.analyse(image[None]))[0].double().numpy()
        - codec.medians.numpy()[:, None, None]
        + 0.5
    )
    bits = codec.z_tables.ideal_bits(z.ravel().astype(int), codec.hyper_rows(1, 1))
    tables, rows = part._tables[0]
    bits += tables.ideal_bits(part.q[: len(at)], rows)
    assert 0 <= end - 6 - 1 - bits / 8 <= 2  # header, check; the coder lags by less than two bytes


def test_masks_are_the_published_rounding_and_lie_inside_each_other(
    codec: DeepHQ, image: torch.Tensor, block: LevelBlock
) -> None:
    """round(importance^gamma), by numpy: from the sigmoid of the network's answer and gamma itself."""
    path = codec.network.entropy
    z = codec.network.h_a(codec.network.analyse(image[None]))
    P = path.h_s(torch.round(z.double() - codec.medians[:, None, None]) + codec.medians[:, None, None])
    importance = 1 / (1 + np.exp(-path.importance(P)[0].numpy()))
    gamma = path.ladder.gamma().numpy()
    assert (np.diff(gamma, axis=0) < 0).all()
    entry = block.index // SCALES
    for level in range(LEVELS):
        assert np.array_equal(entry <= level, np.rint(importance ** gamma[level][:, None, None]) == 1)
    assert len(np.unique(entry)) > 3  # the toy's masks do leave things out


def test_an_importance_on_the_edge_is_sent(image: torch.Tensor) -> None:
    """Where a machine might see it otherwise, the level of entry is in the stream: a twin that differs by 1e-12."""
    one, two = peer_codec("deephq"), peer_codec("deephq")
    for codec, off in ((one, 1e-12), (two, -1e-12)):
        last = codec.network.entropy.importance[-1]
        last.weight[:9] = 0
        last.bias[:9] = torch.from_numpy(codec.thresholds[3, :9, 0, 0]) + off
    stream = one.encode(image)
    mine, theirs = (codec.decoder().feed(stream).blocks[0] for codec in (one, two))
    assert (mine.index[:9] // SCALES == 3).all()
    assert np.array_equal(mine.index, theirs.index)
    assert np.array_equal(mine.q, theirs.q)
    assert len(stream) - len(peer_codec("deephq").encode(image)) > 9 * 16 * 10  # 82 bits each


def test_nothing_selected_still_is_a_stream_and_a_level_that_is_none_is_damage(image: torch.Tensor) -> None:
    codec = peer_codec("deephq")
    codec.network.entropy.importance[-1].weight.zero_()
    codec.network.entropy.importance[-1].bias.fill_(-1e4)
    stream = codec.encode(image)
    decoded = codec.decode(stream)
    assert (decoded.complete, decoded.symbols, decoded.level) == (True, 1, LEVELS)
    assert len(stream) < 100
    block = codec.decoder().feed(stream).blocks[0]
    with pytest.raises(BitstreamError, match="level that does not exist"):
        codec.record(block.index + SCALES, block.mu)


# -- training


@torch.no_grad()
def test_training_has_the_streams_intervals(codec: DeepHQ, image: torch.Tensor, block: LevelBlock) -> None:
    network, lessons = untrained("deephq")
    ladder = network.entropy.ladder
    fine = torch.from_numpy(residual(codec, image, block)).view(1, *block.index.shape) / MU_GRID
    network = copy.deepcopy(network).double()
    z_hat = lessons.hyper(network.h_a(network.analyse(image[None].double())).float())[0].double()
    importance = network.entropy.importance(network.entropy.h_s(z_hat))
    powers = [torch.sigmoid(importance) ** gamma[:, None, None] for gamma in ladder.gamma().double()]
    for level in range(LEVELS):
        coder = LadderCoder(lessons.gaussian, fine, ladder, 0, level, True)
        found = coder._intervals(fine, ladder.sizes()[:, :, None, None], powers)
        begun = block._entry <= level
        for mine, theirs in zip(found, block.intervals(int(block._ends[level]))):
            assert np.array_equal(mine.numpy().ravel()[begun], theirs[begun])


def test_a_step_learns_at_its_own_level_and_a_mask_in_the_last_stage(image: torch.Tensor) -> None:
    network, lessons = (copy.deepcopy(each) for each in untrained("deephq"))
    assert isinstance(lessons, ThreeStages)
    lessons.train()
    ladder, importance = network.entropy.ladder, network.entropy.importance
    for selective in (False, True):
        network.zero_grad()
        shown = lessons.at(network, image[None], 4, selective=selective)
        assert shown.y_step == 3.0
        (shown.bits.sum() + 100 * (shown.x_hat - image).square().sum()).backward()
        moved = ladder.scale.grad.abs().sum(1) > 0
        assert moved.tolist() == [level == 4 for level in range(LEVELS)]
        assert (ladder.fall.grad is not None and bool(ladder.fall.grad.any())) == selective
        assert (importance[0].weight.grad is not None and bool(importance[0].weight.grad.any())) == selective
    own = {id(p) for p in (ladder.fall, *importance.parameters())}
    taught = [{id(p) for p in lessons.taught(network, stage)} for stage in range(3)]
    assert taught[2] - taught[1] == own
    assert taught[1] - taught[0] == {id(ladder.scale)}


def test_more_bits_for_less_error_with_every_level(image: torch.Tensor) -> None:
    network, lessons = untrained("deephq")
    with torch.no_grad():
        bits = [lessons.at(network, image[None], level).bits.item() for level in range(LEVELS)]
    assert bits == sorted(set(bits))


def test_a_stranger_reads_the_same(codec: DeepHQ, image: torch.Tensor) -> None:
    """A decoder written from FORMAT.md, at a few cuts: every symbol that is settled, and what is shown."""
    tensors, about = exported("deephq")
    stream = codec.encode(image)
    for cut in (3, 40, 90, 250, len(stream)):
        symbols, y_hat = deephq_reference.decode(stream[:cut], tensors, about)
        blocks = codec.decoder().feed(stream[:cut]).blocks
        assert symbols == (blocks[0].q.tolist() if blocks else [])
        if y_hat is not None:
            assert np.abs(blocks[0].values() - y_hat).max() < 1e-6
    assert len(symbols) == blocks[0].size
