"""The class lists that the project ships: WordNet ids in the order of a classifier's outputs, each with one name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ..errors import HierarchyError
from .keys import check_keys
from .locate import read_csv


class ClassList(NamedTuple):
    """wnids: keys. names: unique display names. prompts: as CLIP is asked for them (not all unique)."""

    wnids: tuple[str, ...]
    names: tuple[str, ...]
    prompts: tuple[str, ...]


def classes(name_or_path: str | Path) -> ClassList:
    """A shipped list (``"imagenet"``, ``"tiny-imagenet"``) or a CSV file with the columns ``wnid,name``.

    Raises HierarchyError naming the row for a blank, repeated or unknown id, and for an unknown list.
    """
    path, text = read_csv(name_or_path, "classes", "class list", ("imagenet", "tiny-imagenet"))
    return parse(text, str(path))


def parse(text: str, source: str) -> ClassList:
    """A class list from CSV text with the columns ``wnid,name``, and ``prompt`` if CLIP is to be asked otherwise.

    source: what messages call it. Raises HierarchyError naming the row for a blank, repeated or unknown id.
    """
    rows = csv.DictReader(io.StringIO(text))
    if not rows.fieldnames or not {"wnid", "name"} <= set(rows.fieldnames):
        raise HierarchyError(f"{source}, row 1: found the columns {rows.fieldnames}, expected wnid,name.")
    found: dict[str, tuple[int, str, str]] = {}
    for number, row in enumerate(rows, 2):
        wnid, name = (row["wnid"] or "").strip(), (row["name"] or "").strip()
        if not wnid or not name:
            raise HierarchyError(f"{source}, row {number}: a class needs a wnid and a name, one of the two is blank.")
        if wnid in found:
            raise HierarchyError(f"{source}, row {number}: class {wnid} is in row {found[wnid][0]} already: keep one.")
        found[wnid] = (number, name, (row.get("prompt") or name).strip())
    if not found:
        raise HierarchyError(f"{source} holds no classes: expected one row per class below the header.")
    check_keys({wnid: number for wnid, (number, *_) in found.items()}, source)
    return ClassList(tuple(found), tuple(name for _, name, _ in found.values()), tuple(p for *_, p in found.values()))


def to_csv(wnids: Iterable[str], names: Iterable[str], prompts: Iterable[str]) -> str:
    """A class list as text, with columns ``wnid,name,prompt``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["wnid", "name", "prompt"])
    writer.writerows(zip(wnids, names, prompts))
    return text.getvalue()
