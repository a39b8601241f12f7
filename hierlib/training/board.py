"""What runs logged, as TensorBoard reads it: while they run, or long after.

    python -m hierlib.training.board runs --follow      # and beside it: tensorboard --logdir runs

Training writes ``metrics.jsonl`` and knows nothing of this, whatever network is trained.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, HierlibError, refuse
from . import metrics

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"  # in the folder of a run
NO_CURVE = ("step", "seconds")


class Board:
    """Event files of one run, always those of its ``metrics.jsonl`` as it is now.

    Raises DataError where the package tensorboard is missing.
    """

    def __init__(self, run: Path):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise DataError(
                "Files for TensorBoard need its package: pip install 'hierlib[tensorboard]'. Without it, notebook 02 "
                "draws metrics.jsonl, and pandas reads it."
            ) from None
        self.run, self._make = run, SummaryWriter
        self._writer: SummaryWriter | None = None
        self._written: list[dict[str, float]] = []
        self._begun_s = 0.0

    def update(self) -> int:
        """Write what is new; returns how many lines of the log are written in all.

        A run that was resumed may have taken lines back that were written here already: then all are written anew.
        """
        log = self.run / metrics.NAME
        rows = metrics.logged(log)
        if self._writer is None or rows[: len(self._written)] != self._written:
            self.close()
            shutil.rmtree(self.run / FOLDER, ignore_errors=True)
            self._writer, self._written = self._make(str(self.run / FOLDER)), []
            self._begun_s = log.stat().st_mtime - sum(_took(rows))
        at_s = self._begun_s
        for number, (row, took) in enumerate(zip(rows, _took(rows), strict=True)):
            at_s += took
            if number >= len(self._written):
                for key in (key for key in row if key not in NO_CURVE):
                    self._writer.add_scalar(tag(key), row[key], int(row["step"]), walltime=at_s)
        self._written = rows
        self._writer.flush()
        return len(rows)

    def close(self) -> None:
        """End the file that is open."""
        if self._writer is not None:
            self._writer.close()


def tag(key: str) -> str:
    """Levels of one number side by side.

    >>> tag("bytes_1"), tag("large_loss_3"), tag("steps_per_s")
    ('bytes/level 1', 'large_loss/level 3', 'steps_per_s')
    """
    return re.sub(r"_(\d+)$", r"/level \1", key)


def _took(rows: list[dict[str, float]]) -> list[float]:
    """Seconds of training between each line and the one before; the log counts them from each resume."""
    seconds = [row["seconds"] for row in rows]
    return [now - before if now >= before else now for before, now in zip([0.0, *seconds], seconds, strict=False)]


def write(folder: Path, boards: dict[Path, Board]) -> dict[Path, int]:
    """Bring the files of every run under ``folder`` up to date: how many lines each has. ``boards`` keeps them open."""
    found = sorted(log.parent for log in folder.rglob(metrics.NAME))
    boards.update({run: Board(run) for run in found if run not in boards})
    return {run: boards[run].update() for run in found}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hierlib.training.board", description="Runs as TensorBoard reads them.")
    parser.add_argument("runs", type=Path, help="folder of a run, or of several")
    parser.add_argument("--follow", action="store_true", help="go on, for runs that go on; Ctrl-C ends it")
    parser.add_argument("--every", type=float, default=10.0, metavar="S", help="seconds between two looks (10)")
    arguments = parser.parse_args(argv)
    boards: dict[Path, Board] = {}
    try:
        written = write(arguments.runs, boards)
        if not written and not arguments.follow:
            raise DataError(f"No {metrics.NAME} lies under {arguments.runs}: name the folder of a run, or of several.")
        for run, lines in written.items():
            print(f"{run / FOLDER}: {lines:,} lines")
        while arguments.follow:
            time.sleep(arguments.every)
            write(arguments.runs, boards)
    except KeyboardInterrupt:
        pass
    except HierlibError as error:
        return refuse(error)
    finally:
        for board in boards.values():
            board.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
