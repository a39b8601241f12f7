"""The networks: causality by autograd, the context module against its plain definition, sizes, the paper's model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hierlib.codec.config import MICRO, PAPER, PAPER_SHALLOW, TINY, CodecConfig
from hierlib.codec.entropy import KERNEL, ContextAttention
from hierlib.codec.network import HierNetwork
from hierlib.codec.order import coding_order, spread
from hierlib.codec.transforms import WindowAttention
from hierlib.errors import CheckpointError
from hierlib.images.shapes import shapes


class Recorder:
    """A block coder that keeps the parameters and returns chosen values."""

    def __init__(self, y: Tensor, slices: list[tuple[int, int]]):
        self.y, self.slices = y, slices
        self.parameters: list[tuple[Tensor, Tensor]] = []

    def code_block(self, block: int, log_sigma: Tensor, mu: Tensor) -> Tensor:
        self.parameters.append((log_sigma, mu))
        low, high = self.slices[block]
        return self.y[:, low:high]


def micro() -> HierNetwork:
    network = HierNetwork(MICRO).double()
    for delta in network.entropy.parameters_net.delta:
        torch.nn.init.normal_(delta.leave.weight, std=0.3)
    return network


def test_a_block_depends_on_complete_earlier_blocks_only() -> None:
    """Autograd: parameters of block j have no gradient to block j or later, and one to every earlier block."""
    network = micro()
    slices = network.entropy.parameters_net.slices
    y = torch.randn(1, MICRO.M, 4, 4, dtype=torch.float64, requires_grad=True)
    z_hat = torch.randn(1, MICRO.N_hyper, 1, 1, dtype=torch.float64)
    coder = Recorder(y, slices)
    network.entropy.walk(z_hat, coder)
    for block, (log_sigma, mu) in enumerate(coder.parameters):
        if block == 0:
            continue  # the hyperprior alone: the next test
        (gradient,) = torch.autograd.grad((log_sigma.sin() + mu).sum(), y, retain_graph=True)
        assert gradient[:, slices[block][0] :].abs().max() == 0
        for earlier in range(block):
            low, high = slices[earlier]
            assert gradient[:, low:high].abs().max() > 0


def test_strips_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large map is walked in strips; the halo of each is as wide as its networks see."""
    network = micro()
    y = torch.randn(1, MICRO.M, 20, 12, dtype=torch.float64)
    z_hat = torch.randn(1, MICRO.N_hyper, 5, 3, dtype=torch.float64)
    found = []
    for places in (4096, 8 * 12):
        monkeypatch.setattr("hierlib.codec.entropy.STRIP_PLACES", places)
        coder = Recorder(y, network.entropy.parameters_net.slices)
        network.entropy.walk(z_hat, coder)
        found.append(coder.parameters)
    for whole, strips in zip(*found):
        for a, b in zip(whole, strips):
            assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_the_first_block_is_the_hyperprior_alone() -> None:
    network = micro()
    z_hat = torch.randn(1, MICRO.N_hyper, 1, 1, dtype=torch.float64)
    slices = network.entropy.parameters_net.slices
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        coder = Recorder(torch.randn(1, MICRO.M, 4, 4, dtype=torch.float64), slices)
        network.entropy.walk(z_hat, coder)
        found.append(coder.parameters)
    assert torch.equal(found[0][0][0], found[1][0][0])
    assert not torch.equal(found[0][1][0], found[1][1][0])


def plain_context(module: ContextAttention, y: Tensor) -> Tensor:
    """TIC's module by its definition: 25 tokens a place, attention among all of them, sum, MLP. Slow and obvious."""
    batch, M, h, w = y.shape
    out = torch.zeros(batch, 2 * M, h, w, dtype=y.dtype)
    padded = F.pad(y, (2, 2, 2, 2))
    for b in range(batch):
        for i in range(h):
            for j in range(w):
                tokens = padded[b, :, i : i + KERNEL, j : j + KERNEL].reshape(M, -1).T  # (25, M)
                qkv = module.qkv(module.norm1(tokens)).view(25, 3, module.heads, M // module.heads)
                q, k, v = qkv.permute(1, 2, 0, 3)
                scores = q @ k.transpose(1, 2) * (M // module.heads) ** -0.5 + module.position.permute(2, 0, 1)
                mixed = (scores.softmax(-1) @ v).transpose(0, 1).reshape(25, M)
                total = (tokens + module.proj(mixed)).sum(0)
                out[b, :, i, j] = module.out(total + module.mlp(module.norm2(total)))
    return out


def test_context_attention_is_its_plain_definition() -> None:
    module = ContextAttention(12, 3, 2.0).double()
    y = torch.randn(2, 12, 5, 3, dtype=torch.float64)
    assert torch.allclose(module(y), plain_context(module, y), atol=1e-10)


def test_window_attention_at_the_size_of_one_window_is_plain_attention() -> None:
    module = WindowAttention(8, 2, 4, shifted=False).double()
    x = torch.randn(1, 4, 4, 8, dtype=torch.float64)
    q, k, v = module.qkv(x.reshape(1, 16, 8)).view(1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
    with torch.no_grad():
        module.position.zero_()
    expected = module.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(1, 16, 8))
    assert torch.allclose(module(x).reshape(1, 16, 8), expected, atol=1e-12)


@pytest.mark.parametrize("shifted", [False, True])
def test_windows_do_not_leak_padding(shifted: bool) -> None:
    """A map that is no multiple of the window: what lies in another region has no influence."""
    module = WindowAttention(8, 2, 4, shifted).double()
    x = torch.randn(1, 6, 9, 8, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(x)[0, 0, 0].sum(), x)
    reached = gradient[0].abs().sum(-1) > 0
    size = 2 if shifted else 4
    assert reached[:size, :size].all()
    assert gradient[0].abs().sum(-1)[size:].max() < 1e-30  # masked with exp(-100), not removed
    assert gradient[0].abs().sum(-1)[:, size:].max() < 1e-30


@pytest.mark.parametrize("size", [(64, 64), (64, 192), (320, 128)])
def test_any_multiple_of_64(size: tuple[int, int]) -> None:
    network = HierNetwork(MICRO)
    y = network.analyse(torch.rand(1, 3, *size))
    assert y.shape == (1, MICRO.M, size[0] // 16, size[1] // 16)
    assert network.h_a(y).shape == (1, MICRO.N_hyper, size[0] // 64, size[1] // 64)
    assert network.synthesise(y).shape == (1, 3, *size)


def test_the_pca_start_is_a_codec_already() -> None:
    """Before any training, coefficients reproduce the picture within the components that M keeps."""
    network = HierNetwork(replace(MICRO, blocks=(100, 200, 768)))
    pictures = shapes(40, seed=1).batch(range(40))
    network.start_from(pictures, step=16.0)
    y = network.linear.analyse(pictures)
    assert torch.allclose(network.linear.synthesise(y), pictures, atol=0.06)  # the mean's inside varies a little
    small = HierNetwork(MICRO)
    small.start_from(pictures, step=16.0)
    kept = small.linear.synthesise(small.linear.analyse(pictures))
    assert ((kept - pictures) ** 2).mean() < 0.1 * pictures.var()


def test_the_papers_model_has_the_published_size() -> None:
    """TIC with (192, 320) has 23.92 M, part by part as in its repository; ours adds the Delta-networks."""
    network = HierNetwork(PAPER)
    millions = {name: sum(p.numel() for p in part.parameters()) / 1e6 for name, part in network.named_children()}
    assert millions["g_a"] == pytest.approx(6.60, abs=0.02)
    assert millions["g_s"] == pytest.approx(6.60, abs=0.02)
    assert millions["h_a"] == pytest.approx(3.00, abs=0.02)
    entropy = network.entropy
    assert sum(p.numel() for p in entropy.h_s.parameters()) / 1e6 == pytest.approx(3.55, abs=0.02)
    context = sum(p.numel() for p in entropy.context.parameters()) / 1e6
    projection = sum(p.numel() for p in entropy.context.proj.parameters()) / 1e6  # ours, after the attention
    assert context - projection == pytest.approx(1.34, abs=0.02)
    H = [*entropy.parameters_net.shared.parameters(), *entropy.parameters_net.head.parameters()]
    assert sum(p.numel() for p in H) / 1e6 == pytest.approx(2.82, abs=0.02)
    assert sum(millions.values()) < 27


@pytest.mark.parametrize("config", [PAPER, PAPER_SHALLOW, TINY, MICRO])
def test_configurations_survive_json(config: CodecConfig) -> None:
    import json

    assert CodecConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_a_configuration_of_the_future_is_refused() -> None:
    with pytest.raises(CheckpointError, match="update hierlib"):
        CodecConfig.from_json({"blocks": [1, 2], "telepathy": True})


def test_order_is_by_index_then_spread() -> None:
    index = torch.tensor([[[3, 0], [0, 3]], [[5, 0], [0, 0]]]).numpy()
    order = coding_order(index)
    values = index.ravel()[order]
    assert values.tolist() == sorted(values.tolist(), reverse=True)
    assert order[0] == 4  # the 5
    assert sorted(order.tolist()) == list(range(8))


def test_every_prefix_of_the_spread_covers_the_map() -> None:
    places = spread(8, 8)
    assert sorted(places.tolist()) == list(range(64))
    for count in (4, 16):
        rows, cols = places[:count] // 8, places[:count] % 8
        side = 8 // int(count**0.5)
        assert len({(r // side, c // side) for r, c in zip(rows, cols)}) == count
