"""A folder of anybody's photographs, with or without classes: what can be used, and a sentence for what cannot."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, PictureError
from ..files import write_bytes
from ..images.pictures import centre_square, demonstration, load_picture, save_picture
from .subjects import DEMONSTRATION_WNIDS, Subject

if TYPE_CHECKING:
    from ..hierarchy.tree import Hierarchy

TABLE = "classes.csv"
PASSED_OVER = {".csv", ".txt", ".md", ".json", ".html"}


@dataclass(frozen=True)
class Photos:
    """subjects: the pictures that were read, cut and resized. notes: a sentence for each thing that was not used."""

    subjects: tuple[Subject, ...]
    notes: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        from .ladder import data_uri

        cells = "".join(
            f'<figure style="display:inline-block;width:9em;margin:.3em;vertical-align:top"><img alt="'
            f'{html.escape(each.name)}" src="{data_uri(each.image)}" style="width:100%"><figcaption>'
            f"{html.escape(each.name)}</figcaption></figure>"
            for each in self.subjects
        )
        return notes_html(self.notes) + cells


def notes_html(notes: tuple[str, ...]) -> str:
    """Sentences as a list, in the colour of a warning; empty if there is none."""
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f'<ul class="hier-notes" style="color:#b0460a">{items}</ul>' if items else ""


def gather(
    folder: str | Path, hierarchy: Hierarchy, classes: str | Path = "", size: int = 256, most: int = 24
) -> Photos:
    """The pictures of a folder, cut to their centre square and resized to ``size``, at most ``most`` of them.

    classes: a CSV of file and class; ``classes.csv`` in the folder if empty and there. A picture without a line there
    takes the name of the folder that it lies in, if that is a class. A class is a WordNet id or a class's name.
    What cannot be read, is not known or is too much becomes a note, and the rest goes on. Raises DataError for a folder
    that is not there or holds no picture.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(f"{root} is no folder: name one with pictures in it.")
    table, notes = _classes(root, classes)
    keys, subjects = _keys(hierarchy), []
    files = [f for f in sorted(root.rglob("*")) if f.is_file() and f.suffix.lower() not in PASSED_OVER]
    files = [f for f in files if not f.name.startswith(".")]
    for file in files[:most]:
        name = file.relative_to(root).as_posix()
        said = table.pop(name, None) or table.pop(file.name, None)
        try:
            image = centre_square(load_picture(file), size)
        except PictureError as error:
            notes.append(f"Left out: {error}")
            continue
        wnid = keys.get((said or file.parent.name).strip().lower())
        if said and wnid is None:
            notes.append(
                f"{name}: the class {said!r} is none of the {len(hierarchy.wnids)} of {hierarchy.name}, so its answers "
                "get no tick; use a WordNet id (n02123045) or a class's name."
            )
        subjects.append(Subject(file.stem, image, wnid))
    if len(files) > most:
        notes.append(f"{len(files) - most} of {len(files)} pictures were left out: {most} are taken; raise `most`.")
    notes += [f"{name} has a class but is not among the pictures." for name in table if len(files) <= most]
    if not subjects:
        raise DataError(f"{root} holds no picture that can be read. {' '.join(notes)}".strip())
    return Photos(tuple(_own_names(subjects)), tuple(notes))


def _classes(root: Path, classes: str | Path) -> tuple[dict[str, str], list[str]]:
    """File -> class from a CSV, and what is wrong with it."""
    path = Path(classes).expanduser() if classes else root / TABLE
    if not path.is_file():
        return {}, [f"{path} is not there, so no picture has a class."] if classes else []
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        return {}, [f"{path.name} cannot be read as a UTF-8 table ({error}), so no picture has a class."]
    rows = [row for row in rows if row and row[0].strip()]
    if rows and rows[0][0].strip().lower() in ("file", "picture", "name", "filename"):
        rows = rows[1:]
    short = [row[0] for row in rows if len(row) < 2 or not row[1].strip()]
    notes = [f"{path.name}: {name!r} has no class beside it; a line is file,class." for name in short]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 1 and row[1].strip()}, notes


def _keys(hierarchy: Hierarchy) -> dict[str, str]:
    """What a class may be called -> its key; names that two classes share are left to their ids."""
    named: dict[str, list[str]] = {}
    for wnid, name in zip(hierarchy.wnids, hierarchy.names):
        named.setdefault(name.lower(), []).append(wnid)
    keys = {name: wnids[0] for name, wnids in named.items() if len(wnids) == 1}
    return keys | {wnid.lower(): wnid for wnid in hierarchy.wnids}


def _own_names(subjects: list[Subject]) -> Iterator[Subject]:
    """Pictures of one stem in two folders get numbers."""
    seen: dict[str, int] = {}
    for each in subjects:
        seen[each.name] = seen.get(each.name, 0) + 1
        number = seen[each.name]
        yield each if number == 1 else Subject(f"{each.name}-{number}", each.image, each.wnid)


def take_uploads(folder: str | Path, files: Mapping[str, bytes]) -> Path:
    """Write uploaded files into a new, empty ``folder``: pictures under their own names, a CSV as the class table."""
    root = Path(folder)
    for old in root.glob("*") if root.is_dir() else ():
        old.unlink()
    for name, content in files.items():
        plain = Path(name.replace("\\", "/")).name
        write_bytes(root / (TABLE if plain.lower().endswith(".csv") else plain), content)
    return root


def stand_in(folder: str | Path) -> Path:
    """A folder to try things on: four photographs, a file that is no picture, and a table with an unknown class."""
    root = Path(folder)
    for name, image in demonstration(names=("coffee", "chelsea", "astronaut", "rocket")).items():
        save_picture(image, root / f"{name}.jpg")
    write_bytes(root / "broken.jpg", b"this was a photograph once")
    rows = [f"{name}.jpg,{wnid}" for name, wnid in DEMONSTRATION_WNIDS.items()]
    write_bytes(root / TABLE, "\n".join(["file,class", *rows, "astronaut.jpg,spaceman", ""]).encode())
    return root
