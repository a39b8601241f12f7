"""One loop for every network: progress with time left, metrics as JSON lines, checkpoints, Ctrl-C, resume, NaN."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import HierlibError
from ..files import write_json
from . import checkpoint, metrics
from .distributed import Group
from .interrupt import between_updates
from .recipe import defaults


class TrainingError(HierlibError):
    """A run that cannot go on: the loss is no number, or the log cannot be written."""


class Task(Protocol):
    """What a loop trains: a module, its optimisers, and one update as a pure function of the step."""

    @property
    def recipe(self) -> Any:
        """The dataclass that decides the weights."""
        ...

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

    def batch_at(self, step: int) -> dict[str, Any]:
        """Which pictures update ``step`` used, as JSON: what is written down when it goes wrong."""
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
    group: Group = Group(),  # noqa: B008 - frozen
) -> int:
    """Train until ``steps`` updates were done; returns how many.

    folder: gets ``checkpoint.safetensors``, ``metrics.jsonl`` (one object a line: step, seconds, means since the last
    line) and ``about.json``. With ``resume`` a run goes on where the last checkpoint left it: the weights are then
    the same, bit for bit, as those of a run that was never stopped, whatever stopped it. Ctrl-C and SIGTERM stop it
    after the update in hand, which is saved (of several processes: at once, as a second Ctrl-C does).
    group: of several processes the first writes and all read, so that ``folder`` must be one that all of them see.
    Raises TrainingError when a number is not finite (``failed.json`` then names step and pictures), CheckpointError as
    ``checkpoint.load`` and ``checkpoint.save`` do.
    """
    from tqdm.auto import tqdm

    path, log = folder / "checkpoint.safetensors", folder / metrics.NAME
    first = _begin(task, folder, path, about, resume, group)
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    saved_at = start = logged_at = time.monotonic()
    saved = logged_step = first
    bar = tqdm(total=steps, initial=first, desc=folder.name, unit="step", mininterval=1, disable=not group.leads)
    try:
        with between_updates(alone=group.world == 1) as asked_to_stop:
            for step in range(first, steps):
                torch.manual_seed(hash((about.get("seed", 0), step)) & 0x7FFFFFFF)
                values = task.update(step)
                _refuse_nan(values, task, step, folder)
                for key, value in values.items():
                    sums[key], counts[key] = sums.get(key, 0.0) + value, counts.get(key, 0) + 1
                bar.update()
                now = time.monotonic()
                if group.leads and ((step + 1) % log_every == 0 or step + 1 == steps):
                    speed = (step + 1 - logged_step) / max(now - logged_at, 1e-9)
                    row = {"step": step + 1, "seconds": round(now - start, 2), "steps_per_s": round(speed, 3)}
                    row |= {key: sums[key] / counts[key] for key in sums}
                    _append(log, row)
                    bar.set_postfix({k: f"{v:.3g}" for k, v in list(row.items())[3:9]}, refresh=False)
                    sums, counts, logged_at, logged_step = {}, {}, now, step + 1
                    if every_log is not None:
                        every_log(row)
                stop = asked_to_stop()
                if group.leads and (stop or now - saved_at > checkpoint_every_s):
                    checkpoint.save(path, task.module, task.optimizers, step + 1, about)
                    saved_at, saved = time.monotonic(), step + 1
                if stop:
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        # an update that was interrupted may be half applied: what goes on is the last whole checkpoint
        bar.close()
        print(f"Stopped; run the same command again to go on after update {saved}, the last that was saved.")
        raise
    bar.close()
    if group.leads and steps > first:
        checkpoint.save(path, task.module, task.optimizers, steps, about)
    return steps


def _begin(task: Task, folder: Path, path: Path, about: dict, resume: bool, group: Group) -> int:
    """The step to go on from. The first process mends what an earlier one left, before the others look."""

    def load() -> int:
        absent = defaults(type(task.recipe))  # a run may go on in a version whose recipes have more fields
        return checkpoint.load(path, task.module, task.optimizers, about, absent) if resume else 0

    first = 0
    if group.leads:
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint.clean(path)
        first = load()
        write_json(folder / "about.json", about)
        _trim(folder / metrics.NAME, first)
    group.wait()
    return first if group.leads else load()


def _refuse_nan(values: dict[str, float], task: Task, step: int, folder: Path) -> None:
    """TrainingError if a number is not finite. No checkpoint of such weights is ever written."""
    wrong = [key for key, value in values.items() if not math.isfinite(value)]
    if wrong:
        write_json(folder / "failed.json", {"step": step, "values": _words(values), **task.batch_at(step)})
        raise TrainingError(
            f"{wrong[0]} is {values[wrong[0]]} at step {step}; its pictures are named in {folder / 'failed.json'}: "
            "lower the learning rate, or resume from the checkpoint."
        )


def _words(values: dict[str, float]) -> dict[str, float | str]:
    return {key: value if math.isfinite(value) else str(value) for key, value in values.items()}


def _append(log: Path, row: dict) -> None:
    try:
        with log.open("a") as lines:
            lines.write(json.dumps(row) + "\n")
    except OSError as error:
        raise TrainingError(
            f"{log} cannot be written ({error.strerror}): make room and run the same command again."
        ) from None


def _trim(log: Path, step: int) -> None:
    """Drop the lines that a resumed run will write again, and one that was cut short when the last run was killed."""
    if not log.exists():
        return
    kept = [row for row in metrics.logged(log) if row["step"] <= step]
    log.write_text("".join(json.dumps(row) + "\n" for row in kept))


def read_back(log: dict[str, Tensor]) -> dict[str, float]:
    """Numbers of an update, as ``Task.update`` returns them: a GPU is waited for once."""
    return dict(zip(log, torch.stack([each.detach() for each in log.values()]).tolist(), strict=True))


def one_cycle(step: int, steps: int, warm: float = 0.05, floor: float = 0.01) -> float:
    """Learning-rate factor: linear rise over the first ``warm`` share, then a cosine down to ``floor``."""
    rise = max(1, round(warm * steps))
    if step < rise:
        return (step + 1) / rise
    share = min(1.0, (step - rise) / max(1, steps - rise))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))
