"""Finds the tables of this room: a shipped one by name, or a person's own by path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import DataError, HierarchyError
from ..files import shipped


def read_csv(name_or_path: str | Path, folder: str, kind: str, known: Sequence[str]) -> tuple[Path, str]:
    """Path and text of a shipped CSV in ``data/<folder>`` by name, or of a .csv file by path.

    kind, known: what messages call it, and the names they offer. Raises HierarchyError for an unknown name, and for a
    file that cannot be read.
    """
    path = Path(name_or_path)
    if path.suffix.lower() != ".csv":
        try:
            path = shipped(folder, f"{name_or_path}.csv")
        except DataError:
            raise HierarchyError(
                f"no {kind} is called {str(name_or_path)!r}: give the path of a .csv file, or one of "
                f"{', '.join(known[:-1])} or {known[-1]}."
            ) from None
    try:
        return path, path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise HierarchyError(
            f"{path} cannot be read as a UTF-8 table ({error}): check the path and the encoding."
        ) from None


def shipped_names() -> list[str]:
    """Names of the hierarchies that travel with the project."""
    return sorted(path.stem for path in shipped("hierarchies").glob("*.csv"))
