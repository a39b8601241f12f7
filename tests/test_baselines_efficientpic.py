"""EfficientPIC: who depends on whom in two latents, the masks against quantiles, what the REM and the stages may do."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from peer_toys import peer_codec, untrained

from hierlib.baselines.efficientpic import EfficientPIC, MaskCoder, TopBlock, first_part, mask_order
from hierlib.codec.coders import MU_GRID
from hierlib.images.shapes import shapes
from hierlib.training.data import training_set
from hierlib.training.peers import PEERS, PeerTask
from hierlib.training.recipe import changed

SLICES = [(0, 28), (28, 56)]


@pytest.fixture(scope="module")
def codec() -> EfficientPIC:
    found = peer_codec("efficientpic")
    assert isinstance(found, EfficientPIC)
    return found


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return shapes(3, seed=5)[1]


def twin(codec: EfficientPIC) -> EfficientPIC:
    found = copy.copy(codec)
    found.network = copy.deepcopy(codec.network)
    return found


def test_masks_are_quantiles_of_each_slice_and_lie_inside_each_other() -> None:
    """By sorting: with distinct scales the first share q of the order holds what is above each slice's own quantile."""
    random = np.random.default_rng(0)
    slices = [(0, 2), (2, 6)]
    index = random.permutation(6 * 4 * 5).reshape(6, 4, 5)
    order, ranks = mask_order(index, slices)
    assert sorted(order) == list(range(120))
    for tenths in range(1, 10):
        sent = np.zeros(120, dtype=bool)
        sent[order[: 12 * tenths]] = True
        for low, high in slices:
            part = index[low:high].ravel()
            wanted = part > np.quantile(part, 1 - tenths / 10)
            assert np.array_equal(sent[low * 20 : high * 20], wanted)
    for low, high in slices:
        inside = (order >= low * 20) & (order < high * 20)
        assert (np.diff(index.ravel()[order[inside]]) < 0).all()
        assert np.array_equal(ranks[inside], np.arange(inside.sum()))


def test_the_rest_of_the_top_goes_on_where_its_first_part_stopped() -> None:
    random = np.random.default_rng(1)
    index, refined = random.integers(0, 64, (2, 56, 4, 4))
    mu = random.integers(-900, 900, (56, 4, 4))
    first = TopBlock(index, mu, SLICES)
    assert first.size == 2 * first_part(28 * 16) == 112
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TopBlock, "values", lambda self, count=None: np.full(mu.shape, 7.0))
        rest = TopBlock(refined, mu, SLICES, first)
    assert sorted([*first.order, *rest.order]) == list(range(index.size))
    for low, high in SLICES:
        for block, scales in ((first, index), (rest, refined)):
            inside = block.order[(block.order >= low * 16) & (block.order < high * 16)]
            assert (np.diff(scales.ravel()[inside]) <= 0).all()
            assert len(inside) == first.size // 2 if block is first else True
    first.receive(np.arange(first.size), np.arange(first.size))
    rest.receive(np.arange(5), np.arange(5))
    shown = rest.values().ravel()
    assert np.array_equal(shown[first.order], mu.ravel()[first.order] / MU_GRID + np.arange(first.size))
    assert np.array_equal(shown[rest.order[:5]], mu.ravel()[rest.order[:5]] / MU_GRID + np.arange(5))
    assert np.array_equal(shown[rest.order[5:]], mu.ravel()[rest.order[5:]] / MU_GRID)


def test_the_tops_scales_know_the_base_and_nothing_of_the_top(codec: EfficientPIC, image: torch.Tensor) -> None:
    """Another top latent, the same base and z: the same scales and means before its first symbol."""
    one, two = twin(codec), twin(codec)
    for each in (one, two):
        each.network.h_a[0].weight[:, 56:] = 0  # z does not see the top
    two.network.forward_linear.weight[56:] *= -1.5
    mine, theirs = (each.decoder().feed(each.encode(image)).blocks for each in (one, two))
    for number in range(3):
        assert np.array_equal(mine[number].index, theirs[number].index)
        assert np.array_equal(mine[number].mu, theirs[number].mu)
        assert np.array_equal(mine[number].order, theirs[number].order)
    assert not np.array_equal(mine[2].q, theirs[2].q)
    assert not np.array_equal(mine[3].index, theirs[3].index)  # the REM knows what has come


@torch.no_grad()
def test_the_top_is_predicted_from_the_base_as_the_paper_says(codec: EfficientPIC, image: torch.Tensor) -> None:
    """Its two slices by hand: the second sees the prediction of the first, not what is sent of it."""
    path = codec.network.entropy
    z = codec.network.h_a(codec.network.analyse(image[None]))
    q_z = torch.round(z.double() - codec.medians[:, None, None])
    P = path.h_s_top(q_z + codec.medians[:, None, None])
    blocks = codec.decoder().feed(codec.encode(image)).blocks
    base = torch.from_numpy(np.concatenate([block.values() for block in blocks[:2]]))[None]
    sigma_1, mu_1 = path.top[0](torch.cat([P, base[:, :28]], 1)).chunk(2, 1)
    gain = path.gain
    mean_1 = gain[:28] * base[:, :28] + mu_1
    _, mu_2 = path.top[1](torch.cat([P, base[:, 28:], mean_1, sigma_1], 1)).chunk(2, 1)
    means = torch.cat([mean_1, gain[28:] * base[:, 28:] + mu_2], 1)[0].numpy()
    assert np.abs(blocks[2].mu / MU_GRID - means).max() <= 0.5 / MU_GRID + 1e-9


def test_a_rem_that_says_nothing_changes_nothing(codec: EfficientPIC, image: torch.Tensor) -> None:
    silent = twin(codec)
    for each in silent.network.entropy.rem.leave.parameters():
        each.zero_()
    first, rest = silent.decoder().feed(silent.encode(image)).blocks[2:]
    assert np.array_equal(first.index, rest.index)
    assert np.array_equal(first.mu, rest.mu)
    whole, _ = mask_order(first.index, SLICES)
    assert np.array_equal(np.sort(whole[: first.size]), np.sort(first.order))
    assert np.array_equal(whole[first.size :], rest.order)


def test_each_layer_has_a_synthesis_of_its_own(codec: EfficientPIC, image: torch.Tensor) -> None:
    stream = codec.encode(image)
    _, base_end, first_end, end = codec.level_ends(stream)
    inside_base = base_end - 3  # at its end the byte that settles its last symbol may settle what begins the top
    y = {cut: codec.decoder().feed(stream[:cut]).blocks for cut in (inside_base, first_end, end)}
    base = np.concatenate([block.values() for block in y[inside_base]])
    for cut, head, y_hat in (
        (inside_base, 0, base),
        (first_end, 1, y[first_end][3].values()),  # the REM has spoken
        (end, 1, y[end][3].values()),
    ):
        shown = [each(torch.from_numpy(y_hat).float()[None])[0].clamp(0, 1) for each in codec.network.g_s]
        assert torch.equal(codec.decode(stream[:cut]).image, shown[head])
        assert not torch.equal(*shown)


@torch.no_grad()
def test_training_masks_each_slice_by_its_largest_sigma(codec: EfficientPIC, image: torch.Tensor) -> None:
    """y_t after a mask, by sorting in numpy: before the REM by the first sigma; then of what is left by the second."""
    network, lessons = untrained("efficientpic")
    y = network.analyse(image[None])
    coder = MaskCoder(lessons.gaussian, y, SLICES)
    network.entropy.walk(lessons.hyper(network.h_a(y))[0], coder)
    first, rest = ({k: v[0].numpy() for k, v in block.items() if k != "likelihood"} for block in coder.blocks[-2:])
    sent_at = 0.125
    for share in (0.0, 0.05, sent_at, 0.4, 1.0):
        shown = coder.masked(share)[0].numpy()
        for low, high in SLICES:
            of_1, of_2, found = ([first[k][low:high].ravel() for k in ("log_sigma", "y_hat", "mu")],
                                 [rest[k][low:high].ravel() for k in ("log_sigma", "y_hat", "mu")],
                                 shown[low:high].ravel())  # fmt: skip
            size = found.size
            before = np.argsort(-of_1[0], kind="stable")[: math.ceil(min(share, sent_at) * size)]
            wanted = (of_1[2] if share <= sent_at else of_2[2]).copy()
            wanted[before] = of_1[1][before]
            if share > sent_at:
                left = [e for e in np.argsort(-of_2[0], kind="stable") if e not in set(before)]
                later = left[: math.ceil(share * size) - len(before)]
                wanted[later] = of_2[1][later]
            assert np.array_equal(found, wanted)
    blocks = codec.decoder().feed(codec.encode(image)).blocks  # and the stream has as many of each slice
    assert coder.sent.sum().item() == blocks[2].size
    streamed = np.zeros(56 * 16, dtype=bool)
    streamed[blocks[2].order] = True
    assert (streamed != coder.sent[0].flatten().numpy()).mean() < 0.02  # but for sigma of equal index, at the edge


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_each_stage_trains_its_own_networks(stage: int) -> None:
    """The first all but the REM, the second the top's synthesis, the third the REM."""
    few = ["pictures=shapes:36", "batch_size=4", "gamma=(0.0, 0.0)"]
    recipe = changed(PEERS["ci-efficientpic"], [*few, "steps=20"])
    task = PeerTask(recipe, training_set(recipe.pictures, 0))
    with torch.no_grad():
        task.network.entropy.rem.leave.weight.normal_(0, 0.01)  # it starts at zero: what is before it has no gradient
    before = {name: value.clone() for name, value in task.network.named_parameters()}
    step = (0, 12, 17)[stage]
    assert recipe.stage(step)[0] == stage
    assert recipe.stage(step) == ((0, 0, 12), (1, 12, 17), (2, 17, 20))[stage]
    task.update(step)
    moved = {name for name, value in task.network.named_parameters() if not torch.equal(value, before[name])}
    own = {name for name in before if name.startswith("entropy.rem.")}
    top = {name for name in before if name.startswith("g_s.1.")}
    assert moved == (set(before) - own, top, own)[stage]
