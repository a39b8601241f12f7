"""One evaluation by several processes under ``torchrun``: each takes a range of the pictures, all get all rows.

``torchrun --nproc-per-node 8 -m hierlib evaluate ...`` gives what one process would: ranges end where the chunks of one
process end, so pictures meet in the same batches.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .results import Results


@dataclass(frozen=True)
class Ranks:
    """rank: which of ``world`` processes this is."""

    rank: int = 0
    world: int = 1

    def share(self, n: int, step: int) -> tuple[int, int]:
        """First picture and the one behind the last of this process; all but the last end at multiples of ``step``.

        >>> [Ranks(rank, 3).share(100, 16) for rank in range(3)]
        [(0, 48), (48, 80), (80, 100)]
        """
        chunks = -(-n // step)
        start, end = (-(-chunks * rank // self.world) * step for rank in (self.rank, self.rank + 1))
        return min(n, start), min(n, end)

    def own(self, path: Path | None) -> Path | None:
        """Where this process keeps its partial results: the path itself if it is alone."""
        if path is None or self.world == 1:
            return path
        return path.with_name(f"{path.stem}.{self.rank}-of-{self.world}{path.suffix}")

    def all(self, path: Path) -> list[Path]:
        """The partial results of every process."""
        return [found for rank in range(self.world) if (found := Ranks(rank, self.world).own(path)) is not None]

    def keep(self, results: Results, path: Path, partial: Path) -> bool:
        """Write the results, which all processes have, once, and remove what each kept; whether this process did it."""
        if self.rank > 0:
            return False
        results.save(path)
        for part in self.all(partial):
            part.unlink(missing_ok=True)
        return True

    def together(self, chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The chunks of all processes, in the order of the pictures; waits for the slowest."""
        if self.world == 1:
            return chunks
        import torch.distributed as dist

        begun = dist.is_initialized()
        if not begun:
            dist.init_process_group("gloo")
        of_ranks: list[Any] = [None] * self.world
        dist.all_gather_object(of_ranks, chunks)
        if not begun:
            dist.destroy_process_group()
        return [chunk for of_rank in of_ranks for chunk in of_rank]


def ranks() -> Ranks:
    """This process among those that torchrun started; alone without it."""
    return Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
