"""LimitNet: the order against the paper's score in fractions, what is missing, whom the teacher teaches."""

from __future__ import annotations

import copy
import math
from fractions import Fraction

import format_reference as reference
import numpy as np
import pytest
import torch
from peer_toys import exported, peer_codec, untrained
from torch import nn

from hierlib.baselines.limitnet import LimitNet, ScoredBlock, differences, levels_of, ranks, salient
from hierlib.baselines.saliency import large_decoder, small_encoder
from hierlib.codec.coders import CHECK_BITS, Check
from hierlib.codec.config import TINY
from hierlib.codec.order import spread
from hierlib.codec.rangecoder import Encoder
from hierlib.errors import BitstreamError
from hierlib.images.shapes import shapes
from hierlib.training.data import training_set
from hierlib.training.peers import PEERS, PeerTask
from hierlib.training.recipe import changed

M = 12


@pytest.fixture(scope="module")
def codec() -> LimitNet:
    found = peer_codec("limitnet")
    assert isinstance(found, LimitNet)
    return found


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return shapes(3, seed=5)[1]


def levels_at_random(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 32, (8, 8))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 8), (24, 40)])
def test_the_order_is_the_papers_score_in_exact_fractions(codec: LimitNet, height: int, width: int) -> None:
    """saliency + (C - c) / 5, largest first; ties by channel, then spread over the map."""
    levels = levels_at_random(height)
    key = codec.network.entropy.keys(torch.from_numpy(levels).double()[None, None], height, width)
    found = codec.scored(key)
    place = {int(at): rank for rank, at in enumerate(spread(height, width))}

    def worth(element: int) -> tuple[Fraction, int, int]:
        channel, at = divmod(element, height * width)
        row, column = divmod(at, width)
        saliency = Fraction(int(levels[row * 8 // height, column * 8 // width]), 31)
        return -(saliency + Fraction(M - channel, 5)), channel, place[at]

    assert found.order.tolist() == sorted(range(M * height * width), key=worth)
    assert np.array_equal(found.rows, found.order // (height * width))  # each under the row of its channel
    of_training = ranks(key.float())[0].numpy()
    assert np.array_equal(of_training[found.order], np.arange(found.size))


def test_one_salient_cell_is_five_channels_ahead(codec: LimitNet) -> None:
    levels = torch.zeros(1, 1, 8, 8)
    levels[0, 0, 2, 5] = 31
    order = codec.scored(codec.network.entropy.keys(levels, 8, 8)).order
    assert order[:5].tolist() == [64 * channel + 21 for channel in range(5)]
    assert (order[5:68] < 64).all()  # then the first channel of all others
    assert order[68] == 5 * 64 + 21


def test_differences_and_levels_are_inverse_and_cost_nothing_where_all_are_alike() -> None:
    for seed in range(20):
        levels = levels_at_random(seed)
        assert np.array_equal(levels_of(differences(levels)), levels)
        assert torch.equal(differences(torch.from_numpy(levels)), torch.from_numpy(differences(levels)))
    assert not differences(np.full((8, 8), 16)).any()


def test_what_is_missing_is_zero_and_what_came_is_one_of_64_values(codec: LimitNet, image: torch.Tensor) -> None:
    stream = codec.encode(image)
    path, y = codec.network.entropy, codec.network.analyse(image[None])
    whole = codec.decoder().feed(stream).blocks[0].values()
    values = torch.cat([path.values(torch.full((1, M, 1, 1), float(q), dtype=torch.float64)) for q in range(64)])
    nearest = (values[:, :, 0, 0].T[:, None, None] - y[0].double()[..., None]).abs().amin(-1).numpy()
    assert np.allclose(np.abs(whole - y[0].double().numpy()), nearest)
    for cut in np.linspace(codec.info(stream)["z_bytes"] + 10, len(stream) - 1, 9).astype(int):
        block = codec.decoder().feed(stream[:cut]).blocks[0]
        there = np.zeros(whole.size, dtype=bool)
        there[block.order[: len(block.q)]] = True
        assert np.array_equal(block.values().ravel(), np.where(there, whole.ravel(), 0))


def read_by_a_stranger(prefix: bytes) -> tuple[list[int], np.ndarray]:
    """FORMAT.md's section 9 and nothing else, in plain integers: q by coding order, and y_hat."""
    tensors = {name: tensor.numpy() for name, tensor in exported("limitnet")[0].items()}
    rows_y, rows_z = reference.table(tensors, "y"), reference.table(tensors, "z")
    height, width, at, _ = reference.header(prefix) or (0, 0, 0, b"")
    coder, h, w = reference.RangeDecoder(prefix[at:]), 8 * -(-height // 64), 8 * -(-width // 64)
    z = [reference.value(coder, *rows_z[0]) for _ in range(64)]
    level = [[0] * 8 for _ in range(8)]
    for i, difference in enumerate(z):
        row, column = divmod(i, 8)
        before = level[row][column - 1] if column else level[row - 1][0] if row else 16
        level[row][column] = before + difference
    assert coder.bits(8) == reference.crc(0, [height, width], z) & 255
    rank = reference.spread(h, w)

    def key(element: int) -> tuple[int, int, int]:
        c, place = divmod(element, h * w)
        row, column = divmod(place, w)
        return -(5 * level[8 * row // h][8 * column // w] + 31 * (M - c)), c, rank[place]

    q: list[int] = []
    y_hat = np.zeros(M * h * w)
    centre, log_step = (tensors[f"network.entropy.{name}"].ravel().tolist() for name in ("centre", "log_step"))
    for element in sorted(range(M * h * w), key=key):
        c = element // (h * w)
        try:
            q.append(reference.value(coder, *rows_y[c]))
        except reference.Missing:
            break
        y_hat[element] = centre[c] + math.exp(log_step[c]) * (q[-1] - 32)
    return q, y_hat.reshape(M, h, w)


@pytest.mark.parametrize("size", [(64, 64), (70, 20)])
def test_a_stranger_reads_the_same_from_the_written_format(codec: LimitNet, size: tuple[int, int]) -> None:
    image = shapes(3, seed=5)[1][:, :, : size[1]].repeat(1, 2, 1)[:, : size[0]]
    stream = codec.encode(image)
    for cut in (len(stream) // 3, len(stream)):
        q, y_hat = read_by_a_stranger(stream[:cut])
        block = codec.decoder().feed(stream[:cut]).blocks[0]
        assert block.q.tolist() == q
        assert np.allclose(block.values(), y_hat, rtol=1e-12, atol=1e-12)


def test_a_picture_beyond_the_range_is_clamped_to_it(codec: LimitNet) -> None:
    narrow = copy.copy(codec)
    narrow.network = copy.deepcopy(codec.network)
    narrow.network.entropy.log_step.sub_(3)
    image = shapes(3, seed=5)[0]
    received = narrow.decoder().feed(narrow.encode(image))
    assert received.trailer is not None
    assert {0, 63} <= set(received.blocks[0].q.tolist())


def test_the_tables_are_of_the_weights_and_hold_every_symbol(codec: LimitNet) -> None:
    tensors, _ = exported("limitnet")
    assert tensors["tables.y.lengths"].tolist() == [65] * M
    assert tensors["tables.y.lows"].tolist() == [0] * M
    assert (tensors["tables.z.lengths"].tolist(), tensors["tables.z.lows"].tolist()) == ([64], [-31])
    _, lessons = untrained("limitnet")
    for channel in (0, 7):  # against the prior asked symbol by symbol
        grid = torch.arange(64).float()[None, None, None, :].expand(1, M, 1, 64) - 32
        mass = lessons.mass(grid, 0)[0, channel, 0].detach().numpy()  # type: ignore[operator]
        sent = tensors["tables.y.frequencies"].view(M, 65)[channel, :64].numpy() / 65536
        assert np.abs(sent - mass / mass.sum()).max() < 1e-3


def test_a_stream_that_no_encoder_writes_is_refused(codec: LimitNet, image: torch.Tensor) -> None:
    """A saliency below 0, a symbol beyond 63, another saliency than the check knows: each by hand."""
    head, q_z = codec.encode(image)[:6], codec.hyper_values(codec.network.h_a(codec.network.analyse(image[None])))

    def stream(sent: np.ndarray, known: np.ndarray, symbol: int) -> bytes:
        encoder, check = Encoder(), Check(64, 64)
        encoder.put_values(sent, codec.hyper_rows(1, 1), codec.z_tables)
        encoder.put_bits(check.add(known), CHECK_BITS)
        encoder.put_values(np.full(40, symbol), np.zeros(40, dtype=int), codec.y_tables)
        return head + encoder.finish()

    assert codec.decode(stream(q_z, q_z, 31)).symbols > 30
    below = q_z.copy()
    below[0] = -20
    for broken, words in (
        (stream(below, below, 31), "saliency is not in"),
        (stream(q_z, q_z, 64), "symbol is not in"),
        (stream(q_z, q_z + 1, 31), "does not match"),
    ):
        with pytest.raises(BitstreamError, match=words):
            codec.decode(broken)


def test_pictures_from_one_pixel_up(codec: LimitNet) -> None:
    for size in ((1, 1), (5, 130), (200, 3)):
        image = torch.rand(3, *size)
        stream = codec.encode(image)
        assert codec.decode(stream).complete
        assert codec.decode(stream).image.shape == image.shape
        rows, columns = (-(-side // 64) * 8 for side in size)
        assert codec.decode(stream[:9]).symbols_total == M * rows * columns


def test_the_encoder_is_the_published_one_and_the_decoder_much_larger() -> None:
    assert [tuple(layer.weight.shape) for layer in small_encoder(M) if isinstance(layer, nn.Conv2d)] == [
        (16, 3, 7, 7),
        (16, 16, 5, 5),
        (M, 16, 3, 3),
    ]
    small, large = (sum(p.numel() for p in each.parameters()) for each in (small_encoder(M), large_decoder(M, TINY.N)))
    assert small == 10524
    assert large > 20 * small


# -- training


def test_the_teacher_points_at_what_differs_from_the_picture() -> None:
    x = torch.full((2, 3, 64, 64), 0.5)
    x[0, 0, 16:24, 40:48] = 1.0  # one cell of another colour
    taught = salient(x)
    assert taught[0, 0].argmax() == 2 * 8 + 5
    assert taught[0].max() == 1
    assert taught[0].median() < 0.1
    assert not taught[1].any()  # nothing stands out: nothing is salient


def test_before_the_head_is_trained_the_tail_of_channels_is_dropped(image: torch.Tensor) -> None:
    network, lessons = (copy.deepcopy(each) for each in untrained("limitnet"))
    assert set(network.parameters()) - set(lessons.taught(network, 0)) == set(network.h_a.parameters())
    assert set(lessons.taught(network, 1)) == set(network.parameters())
    nn.init.zeros_(network.h_a.leave.weight)  # type: ignore[arg-type, union-attr]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", lambda *size, **_: torch.full(size, 5 / M - 1e-6))
        shown = lessons.shown(network, image[None], 0)[0]
    shown.x_hat.square().sum().backward()
    of_y = network.linear.forward_conv.weight.grad.abs().sum((1, 2, 3))  # type: ignore[union-attr]
    assert (of_y[:5] > 0).all()
    assert (of_y[5:] == 0).all()


def test_the_teacher_moves_the_head_and_nothing_else(image: torch.Tensor) -> None:
    network, lessons = (copy.deepcopy(each) for each in untrained("limitnet"))
    shown = lessons.shown(network, image[None], 1)[0]
    beside = shown.beside
    assert isinstance(beside, torch.Tensor)
    beside.backward(retain_graph=True)
    moved = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved
    assert all(name.startswith("h_a.") for name in moved)
    network.zero_grad()
    (shown.x_hat.square().sum() + shown.bits.sum()).backward()  # and the loss of the picture moves all but the head
    moved = {name for name, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert {name for name, _ in network.named_parameters() if not name.startswith("h_a.")} == moved


def test_training_lowers_rate_and_error_and_the_head_learns_its_teacher() -> None:
    few = ["pictures=shapes:36", "batch_size=4", "gamma=(0.0,)", "steps=60", "ema=0.5", "classifier="]
    recipe = changed(PEERS["ci-limitnet"], few)
    task = PeerTask(recipe, training_set(recipe.pictures, 0))
    unseen = shapes(12, seed=1_000_000).batch(range(12))

    def measured() -> tuple[float, float, float]:
        network, lessons = task.network, task.likelihoods.eval()
        with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "rand", lambda *size, **_: torch.full(size, 0.999))
            shown = lessons.shown(network, unseen, 1)[0]
        return shown.bits.mean().item(), ((shown.x_hat - unseen) ** 2).mean().item(), float(shown.beside)

    before = measured()
    for step in range(60):
        task.update(step)
    after = measured()
    assert after[0] < 0.95 * before[0]
    assert after[1] < 0.98 * before[1]
    assert after[2] < before[2] - 0.005  # of about 0.1 that there is to be had
    assert [recipe.stage(step)[0] for step in (5, 6, 23, 24)] == [0, 1, 1, 2]
    assert PEERS["limitnet64"].task_from == 0.4  # the third stage is where the classifier is asked


def test_a_block_shows_itself_on_whatever_the_path_is(codec: LimitNet) -> None:
    block = ScoredBlock(np.zeros((M, 8, 8), dtype=np.int64), codec.network.entropy)
    assert not block.values().any()
    assert (block.size, block.levels(0), block.level_ends) == (M * 64, 0, [])
