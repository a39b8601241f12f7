"""Forward and backward passes that a GPU replays from a recording, so that Python need not launch each kernel again.

An update of a small network is thousands of short kernels, and to launch them takes longer than to run them. A CUDA
graph is launched as one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .loop import TrainingError

Log = dict[str, Tensor]
FIRST = 3  # calls of each kind that run as usual: what is compiled, cached or chosen by trial is settled then


@dataclass
class _Recording:
    graph: Any  # torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    gradients: list[Tensor | None]
    log: Log


class Recorder:
    """Runs what computes gradients: as it is, or from the fourth call of a kind on as a replay of its recording.

    What is recorded must do the same each time, whatever its inputs hold: no choice by the processor, no number that
    Python draws or reads back. Numbers that the GPU draws are seeded as ever: those of a replay are those of the call
    that it stands for.
    """

    def __init__(self, on: bool):
        self.on = on
        self._calls: dict[Hashable, int] = {}
        self._recordings: dict[Hashable, _Recording] = {}
        self._stream: Any = None
        self._pool: Any = None

    def __call__(
        self, kind: Hashable | None, learn: Callable[..., Log], parameters: Sequence[Tensor], *inputs: Tensor
    ) -> Log:
        """The result of ``learn(*inputs)``, a dictionary of detached tensors, and its gradients in ``parameters``.

        kind: calls of one kind, with inputs of the same shapes, differ in what the inputs hold and in nothing else; of
        none (None) nothing is recorded. Gradients must be None before the call. They and the result are overwritten by
        the next call of the kind. Raises TrainingError for what cannot be recorded.
        """
        if not self.on or kind is None:
            return learn(*inputs)
        key = (kind, *(each.shape for each in inputs))
        recording = self._recordings.get(key)
        if recording is None:
            self._calls[key] = self._calls.get(key, 0) + 1
            if self._calls[key] <= FIRST:
                return self._aside(learn, inputs)
            recording = self._recordings[key] = self._record(learn, parameters, inputs)
        for here, there in zip(recording.inputs, inputs, strict=True):
            here.copy_(there)
        recording.graph.replay()
        for parameter, gradient in zip(parameters, recording.gradients, strict=True):
            parameter.grad = gradient
        return recording.log

    def _aside(self, learn: Callable[..., Log], inputs: tuple[Tensor, ...]) -> Log:
        """On the stream that will record: what autograd remembers of streams is then of that one."""
        if self._stream is None:
            self._stream, self._pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            log = learn(*inputs)
        torch.cuda.current_stream().wait_stream(self._stream)
        return log

    def _record(
        self, learn: Callable[..., Log], parameters: Sequence[Tensor], inputs: tuple[Tensor, ...]
    ) -> _Recording:
        own = tuple(each.clone() for each in inputs)
        graph = torch.cuda.CUDAGraph()
        # threads that pin memory for the next batches may go on meanwhile
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                log = learn(*own)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise TrainingError(
                f"An update cannot be recorded ({reason}): something in it, a classifier perhaps, makes the GPU wait "
                "for the processor. Train with recorded=False (--set recorded=False)."
            ) from None
        return _Recording(graph, own, [parameter.grad for parameter in parameters], log)
