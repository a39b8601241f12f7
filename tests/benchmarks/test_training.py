"""Pictures a second in training against CompressAI's example loop, same model and machine: `make bench` prints it.

The other loop is what CompressAI's examples/train.py does: an ImageFolder through a DataLoader, all of the loss at each
step, Adam, clipping, a second Adam for the quantiles; no averaging, no autocast. Both runs are interleaved, so that
whatever else the machine does meets both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from hierlib.codec.likelihood import Likelihoods
from hierlib.codec.network import HierNetwork
from hierlib.images.packs import PictureSet
from hierlib.images.pictures import to_uint8
from hierlib.images.shapes import shapes
from hierlib.training.data import training_set
from hierlib.training.distributed import Group
from hierlib.training.loss import LevelLoss
from hierlib.training.mixed import TrainingView
from hierlib.training.recipe import Recipe
from hierlib.training.start import codec_recipe
from hierlib.training.trainer import CodecTask

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROUNDS, STEPS = (4, 3) if DEVICE == "cpu" else (2, 39)  # a multiple of three: each level as often


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ImageFolder of 360 pictures of 64x64, as both loops read it."""
    pictures = shapes(360)
    for i in range(len(pictures)):
        place = tmp_path / "folder" / pictures.wnids[pictures.labels[i]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(to_uint8(pictures[i])).save(place / f"{i}.png")
    monkeypatch.setenv("HIERLIB_DATA", str(tmp_path))
    return tmp_path / "folder"


def example_loop(of: Recipe, folder: Path) -> Callable[[int], None]:
    """One step of the example's loop over the same network and rate-distortion loss, all levels."""
    from torch.utils.data import DataLoader
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    class AsTheyHaveIt(Likelihoods):
        def _likelihood_of_z(self, z: Tensor) -> Tensor:
            return self.bottleneck(z)[1]

    network, likelihoods = HierNetwork(of.codec).to(DEVICE), AsTheyHaveIt(of.codec.N_hyper).to(DEVICE).train()
    levels, view = len(of.codec.blocks), TrainingView(network)
    loss_of = LevelLoss(replace(of, cut_share=0.0), CodecTask(of, training_set("shapes:360")).loss.hierarchy, [])
    quantiles = [p for name, p in likelihoods.named_parameters() if name.endswith("quantiles")]
    rest = [p for name, p in likelihoods.named_parameters() if not name.endswith("quantiles")]
    main, auxiliary = torch.optim.Adam([*network.parameters(), *rest], 1e-4), torch.optim.Adam(quantiles, 1e-3)
    cropped = transforms.Compose([transforms.RandomCrop(of.size), transforms.ToTensor()])
    pinned, workers = DEVICE == "cuda", 4 if DEVICE == "cuda" else 0
    loader = DataLoader(ImageFolder(folder, cropped), of.batch_size, True, num_workers=workers, pin_memory=pinned)

    def endless():
        while True:
            yield from loader

    batches = endless()

    def step(_: int) -> None:
        images, labels = (t.to(DEVICE) for t in next(batches))
        main.zero_grad()
        auxiliary.zero_grad()
        walked = likelihoods(view, images)
        terms = [loss_of.terms(view, walked, images, labels, level) for level in range(levels)]
        sum(loss_of.total(t, level) for level, t in enumerate(terms)).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        main.step()
        likelihoods.bottleneck.loss().backward()
        auxiliary.step()

    return step


@pytest.mark.parametrize("batch_size", [12] if DEVICE == "cpu" else [16, 128])
def test_pictures_a_second_against_the_example_loop(folder: Path, batch_size: int) -> None:
    base = replace(
        codec_recipe("tiny64-rd"), pictures="folder", hierarchy="shapes", batch_size=batch_size, steps=100_000,
        fast_layout=True, bf16=True, recorded=True,
    )  # fmt: skip
    pictures, group = training_set("folder"), Group(device=DEVICE)
    workers = 8 if DEVICE == "cuda" else 0
    kinds = {"ours, all levels a step": {"one_level_a_step": False}, "ours, one level a step": {}}
    if DEVICE == "cuda":  # what each of the switches does
        kinds |= {"  not in bf16": {"bf16": False}, "  nor recorded": {"bf16": False, "recorded": False}}
    runs: dict[str, Callable[[int], object]] = {"CompressAI's example loop": example_loop(base, folder)}
    runs |= {name: CodecTask(replace(base, **kind), pictures, group, workers).update for name, kind in kinds.items()}
    spent = dict.fromkeys(runs, 0.0)
    for turn in range(ROUNDS + 1):
        for name, step in runs.items():
            began = time.perf_counter()
            for i in range(STEPS):
                step(turn * STEPS + i)
            if DEVICE == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first round warms up
                spent[name] += time.perf_counter() - began
    rates = {name: ROUNDS * STEPS * base.batch_size / seconds for name, seconds in spent.items()}
    theirs = rates["CompressAI's example loop"]
    print(f"\ntraining TINY at {base.size}x{base.size}, batch {base.batch_size}, {DEVICE}:")
    for name, rate in rates.items():
        print(f"  {name:28} {rate:8.1f} pictures/s, {rate / theirs:.2f} times")
    if DEVICE == "cuda":
        done = _flops_a_picture(base, pictures, group) * rates["ours, one level a step"]
        peak = _bf16_peak()
        print(
            f"  {done / 1e12:.2f} TFLOP/s, {done / peak:.2%} of the {peak / 1e12:.0f} that a bf16 product reaches here"
        )


def _flops_a_picture(recipe: Recipe, pictures: PictureSet, group: Group) -> float:
    """Of an update, mean over the levels."""
    from torch.utils.flop_counter import FlopCounterMode

    task = CodecTask(replace(recipe, compiled=False, recorded=False), pictures, group)
    levels = len(recipe.codec.blocks)
    with FlopCounterMode(display=False) as counter:
        for level in range(levels):
            task.update(level)
    return counter.get_total_flops() / levels / recipe.batch_size


def _bf16_peak(side: int = 8192, times: int = 10) -> float:
    """FLOP/s of a product of two large bf16 matrices of random numbers."""
    a, b = (torch.randn(side, side, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(times):
        a @ b
    torch.cuda.synchronize()
    return times * 2 * side**3 / (time.perf_counter() - began)
