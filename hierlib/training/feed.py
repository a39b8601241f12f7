"""Batches made ahead by worker processes, in pinned memory, so that a GPU does not wait for pictures to be decoded."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .interrupt import deaf

Drawn = tuple[Tensor, Tensor]  # pictures and their labels
WORKERS = 8  # for a GPU, where there are as many processors


def workers_for(device: torch.device | str, asked: int | None) -> int:
    """How many processes make batches ahead: as asked; if None, none without CUDA, and with it one a processor, up to
    ``WORKERS``.
    """
    if asked is not None:
        return asked
    if torch.device(device).type != "cuda":
        return 0
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(WORKERS, usable)


class Feed:
    """``feed(step, part)`` gives what ``draw(step, part)`` gives; with ``workers`` it was made ahead of time.

    draw must be a pure function: then what arrives is the same with any number of workers, and after any resume.
    parts: those this process asks for at each step, in that order. pin: page-locked memory, for the way to CUDA.
    """

    def __init__(
        self, draw: Callable[[int, int], Drawn], steps: int, parts: list[int], workers: int = 0, pin: bool = False
    ):
        self.draw, self.steps, self.parts, self.workers, self.pin = draw, steps, parts, workers, pin
        self._next: tuple[int, int] | None = None
        self._ahead: Iterator[Drawn] = iter(())

    def __call__(self, step: int, part: int) -> Drawn:
        if self.workers == 0:
            return self.draw(step, part)
        if (step, part) != self._next:  # the first call, or a jump: begin anew from here
            self._ahead = self._loader(step, part)
        drawn = next(self._ahead)
        place = self.parts.index(part) + 1
        self._next = (step, self.parts[place]) if place < len(self.parts) else (step + 1, self.parts[0])
        return drawn

    def _loader(self, step: int, part: int) -> Iterator[Drawn]:
        keys = ((s, p) for s in range(step, self.steps) for p in self.parts if (s, p) >= (step, part))
        loader = torch.utils.data.DataLoader(
            _Draws(self.draw),
            batch_size=None,  # a key is a whole batch already
            sampler=keys,
            num_workers=self.workers,
            pin_memory=self.pin,
            prefetch_factor=4,
            worker_init_fn=deaf,
            multiprocessing_context="fork",  # picture sets read through closures, which do not travel otherwise
        )
        return iter(loader)


class _Draws(torch.utils.data.Dataset):
    def __init__(self, draw: Callable[[int, int], Drawn]):
        self.draw = draw

    def __getitem__(self, key: tuple[int, int]) -> Drawn:
        return self.draw(*key)
