"""One loop for every network: progress with time left, metrics as JSON lines, checkpoints, Ctrl-C, resume, NaN."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from ..errors import HierlibError
from ..files import write_json
from . import checkpoint


class TrainingError(HierlibError):
    """A run that cannot go on: the loss is no number."""


class Task(Protocol):
    """What a loop trains: a module, its optimisers, and one update as a pure function of the step."""

    @property
    def module(self) -> nn.Module:
        """What a checkpoint keeps."""
        ...

    @property
    def optimizers(self) -> checkpoint.OptimizerMap:
        """By name; their moments are kept too."""
        ...

    def update(self, step: int) -> dict[str, float]:
        """Do update ``step``, which must draw all its randomness from (seed, step); returns numbers to log."""
        ...


def run(
    task: Task,
    folder: Path,
    steps: int,
    about: dict,
    *,
    resume: bool = True,
    log_every: int = 50,
    checkpoint_every_s: float = 120,
    every_log: Callable[[dict], None] | None = None,
) -> int:
    """Train until ``steps`` updates were done; returns how many.

    folder: gets ``checkpoint.safetensors``, ``metrics.jsonl`` (one object a line: step, seconds, means since the last
    line) and ``about.json``. With ``resume`` a run goes on where the last checkpoint left it: the weights are then
    the same, bit for bit, as those of a run that was never stopped. Ctrl-C saves first.
    Raises TrainingError when a number is not finite, CheckpointError as ``checkpoint.load`` does.
    """
    from tqdm.auto import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    path, log = folder / "checkpoint.safetensors", folder / "metrics.jsonl"
    first = checkpoint.load(path, task.module, task.optimizers, about) if resume else 0
    write_json(folder / "about.json", about)
    _trim(log, first)
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    saved_at = start = time.monotonic()
    step = first
    bar = tqdm(total=steps, initial=first, desc=folder.name, unit="step", mininterval=1)
    try:
        for step in range(first, steps):
            torch.manual_seed(hash((about.get("seed", 0), step)) & 0x7FFFFFFF)
            for key, value in task.update(step).items():
                if not math.isfinite(value):
                    raise TrainingError(
                        f"{key} is {value} at step {step}: lower the learning rate, or resume from the checkpoint."
                    )
                sums[key], counts[key] = sums.get(key, 0.0) + value, counts.get(key, 0) + 1
            bar.update()
            if (step + 1) % log_every == 0 or step + 1 == steps:
                row = {"step": step + 1, "seconds": round(time.monotonic() - start, 2)}
                row |= {key: sums[key] / counts[key] for key in sums}
                with log.open("a") as lines:
                    lines.write(json.dumps(row) + "\n")
                bar.set_postfix({k: f"{v:.3g}" for k, v in list(row.items())[2:8]}, refresh=False)
                sums, counts = {}, {}
                if every_log is not None:
                    every_log(row)
            if time.monotonic() - saved_at > checkpoint_every_s:
                checkpoint.save(path, task.module, task.optimizers, step + 1, about)
                saved_at = time.monotonic()
    except KeyboardInterrupt:
        # the interrupted update may be half applied: the checkpoint on disk is the last whole one
        bar.close()
        print(f"Stopped at step {step}; run the same command again to go on from the last checkpoint.")
        raise
    bar.close()
    if steps > first:
        checkpoint.save(path, task.module, task.optimizers, steps, about)
    return steps


def _trim(log: Path, step: int) -> None:
    """Drop the lines that a resumed run will write again."""
    if not log.exists():
        return
    kept = [line for line in log.read_text().splitlines() if line.strip() and json.loads(line)["step"] <= step]
    log.write_text("".join(line + "\n" for line in kept))


def one_cycle(step: int, steps: int, warm: float = 0.05, floor: float = 0.01) -> float:
    """Learning-rate factor: linear rise over the first ``warm`` share, then a cosine down to ``floor``."""
    rise = max(1, round(warm * steps))
    if step < rise:
        return (step + 1) / rise
    share = min(1.0, (step - rise) / max(1, steps - rise))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))
