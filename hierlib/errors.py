"""Every error a user can cause.

Each message says what was found, what was expected, and what to do. The command line prints it and exits with 2;
nothing here is ever raised for a mistake of the library itself.
"""

from __future__ import annotations

import sys


class HierlibError(Exception):
    """Base of all errors that a user can cause and mend."""


class BitstreamError(HierlibError):
    """A byte string that cannot be decoded: damaged, made by another model, of another version, not ours."""


class PictureError(HierlibError):
    """A file or tensor that is no picture this library can use."""


class BudgetError(HierlibError):
    """A byte budget that cannot be met (zero, negative, not a number)."""


class DataError(HierlibError):
    """A data folder, pack or shipped file that is missing or not what its name says."""


class HierarchyError(HierlibError):
    """A class table that contradicts itself, or does not fit the classifier it is used with."""


class RecipeError(HierlibError):
    """An unknown recipe, or a notebook parameter that no notebook declares."""


class CheckpointError(HierlibError):
    """Weights that are missing, damaged, or of another shape than the recipe says."""


def refuse(sentence: object) -> int:
    """Say on stderr what the user can mend; returns 2, the exit code of every command that was refused."""
    print(f"hierlib: {sentence}", file=sys.stderr)
    return 2
