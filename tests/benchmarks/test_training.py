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

from hierlib.codec.likelihood import Likelihoods
from hierlib.codec.network import HierNetwork
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
ROUNDS, STEPS = 4, 3 if DEVICE == "cpu" else 60


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

    network, likelihoods = HierNetwork(of.codec).to(DEVICE), Likelihoods(of.codec.N_hyper).to(DEVICE).train()
    levels, view = len(of.codec.blocks), TrainingView(network)
    loss_of = LevelLoss(replace(of, cut_share=0.0), CodecTask(of, training_set("shapes:18")).loss.hierarchy, [])
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


def test_pictures_a_second_against_the_example_loop(folder: Path) -> None:
    base = replace(
        codec_recipe("tiny64-rd"), pictures="folder", hierarchy="shapes", batch_size=12, steps=100_000,
        fast_layout=True, bf16=True, compiled=True,
    )  # fmt: skip
    pictures, group = training_set("folder"), Group(device=DEVICE)
    workers = 8 if DEVICE == "cuda" else 0
    runs: dict[str, Callable[[int], object]] = {
        "CompressAI's example loop": example_loop(base, folder),
        "ours, all levels a step": CodecTask(replace(base, one_level_a_step=False), pictures, group, workers).update,
        "ours, one level a step": CodecTask(base, pictures, group, workers).update,
    }
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
        from torch.utils.flop_counter import FlopCounterMode

        task = CodecTask(replace(base, compiled=False), pictures, group)
        with FlopCounterMode(display=False) as counter:
            task.update(2)  # the last level: all blocks are walked
        done = counter.get_total_flops() / base.batch_size * rates["ours, one level a step"]
        print(f"  at most {done / 1e12:.2f} TFLOP/s; divide by the card's bf16 peak")
