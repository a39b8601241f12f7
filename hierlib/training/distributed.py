"""Several processes that train one network: what ``torchrun`` starts, on one machine or many.

The parts of a step's batch are shared out; gradients are averaged after the backward passes. Every part has its own
randomness, so that the sum does not depend on how many processes compute it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import RecipeError


@dataclass(frozen=True)
class Group:
    """This process among ``world``. Without torchrun there is one, and every call is a no-op."""

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    @property
    def leads(self) -> bool:
        """Whether this is the one process that writes files and shows progress."""
        return self.rank == 0

    def parts(self, count: int) -> list[int]:
        """Which of a step's ``count`` parts this process computes. RecipeError if they cannot be shared evenly."""
        if count % self.world:
            raise RecipeError(
                f"A step has {count} parts, which {self.world} processes cannot share evenly: "
                f"set parts to a multiple of {self.world} (--parts {self.world})."
            )
        return list(range(self.rank, count, self.world))

    def average(self, tensors: Iterable[Tensor | None]) -> None:
        """Replace each tensor by its mean over the processes, in place; all together, in one message."""
        given = [t for t in tensors if t is not None]
        if self.world == 1 or not given:
            return
        flat = torch.cat([t.reshape(-1) for t in given])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        for tensor, mean in zip(given, flat.split([t.numel() for t in given]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the first one's values, in place: what each initialised need not agree to the last bit."""
        if self.world > 1:
            for tensor in tensors:
                if tensor.numel():
                    whole = tensor.contiguous()
                    torch.distributed.broadcast(whole, 0)
                    tensor.copy_(whole)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            torch.distributed.barrier()


def join(device: str | None = None) -> Group:
    """The group that torchrun's environment describes, joined once a process: nccl with CUDA, gloo without.

    device: of this process; CUDA (the card of its local rank) if there is one, if None.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = device or (f"cuda:{local}" if torch.cuda.is_available() else "cpu")
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Group(device=device)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Group(torch.distributed.get_rank(), torch.distributed.get_world_size(), device)


def leave() -> None:
    """Part from the group, if one was joined."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
