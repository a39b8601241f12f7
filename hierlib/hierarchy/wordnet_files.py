"""Reads WordNet's nouns: the shipped CSV extract, Princeton's data.noun and index.noun, or NLTK's zip of those."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

from ..errors import HierarchyError
from .wordnet import Synset, WordNet

DEBIAN = Path("/usr/share/wordnet")


def installed() -> Path:
    """Where this machine keeps WordNet: on NLTK's data path, or Debian's. Raises HierarchyError if nowhere."""
    import nltk.data

    for root in (*map(Path, nltk.data.path), DEBIAN):
        if any(found.is_file() for found in (root / "corpora/wordnet/data.noun", root / "data.noun")):
            return root
        if (root / "corpora/wordnet.zip").is_file():
            return root
    raise HierarchyError(
        "no WordNet is installed: nltk.download('wordnet'), or apt install wordnet-base, or give the path of one. "
        "The 1000 ImageNet classes need none."
    )


def read_wordnet(path: Path) -> WordNet:
    """See :func:`hierlib.hierarchy.wordnet.read`."""
    try:
        if path.suffix.lower() == ".csv":
            return _extract(path.read_text(encoding="utf-8"), str(path))
        return _database(path)
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise HierarchyError(f"{path} cannot be read as a WordNet ({error}): check the path.") from None


def _extract(text: str, source: str) -> WordNet:
    rows = csv.DictReader(io.StringIO(text))
    columns = ["wnid", "synset", "lemmas", "hypernyms"]
    if rows.fieldnames != columns:
        raise HierarchyError(f"{source}, row 1: found the columns {rows.fieldnames}, expected {','.join(columns)}.")
    synsets: dict[str, Synset] = {}
    for number, row in enumerate(rows, 2):
        if any(row[column] is None for column in columns) or row["wnid"] in synsets:
            raise HierarchyError(f"{source}, row {number}: {row['wnid']!r} is incomplete, or there already.")
        lemmas, hypernyms = tuple(row["lemmas"].split()), tuple(row["hypernyms"].split())
        synsets[row["wnid"]] = Synset(row["wnid"], row["synset"], lemmas, hypernyms)
    return WordNet(synsets.values(), source)


def _database(path: Path) -> WordNet:
    """A folder or zip that holds ``data.noun`` and ``index.noun``, at its top or where NLTK keeps them."""
    roots: list[Path | zipfile.Path] = [path, path / "corpora" / "wordnet"]
    archives = [path] if path.is_file() else [path / "wordnet.zip", path / "corpora" / "wordnet.zip"]
    roots += [zipfile.Path(archive, "wordnet/") for archive in archives if archive.is_file()]
    for root in roots:
        data, index = root / "data.noun", root / "index.noun"
        if data.is_file() and index.is_file():
            return _nouns(data.read_text(encoding="utf-8"), index.read_text(encoding="utf-8"), str(path))
    raise HierarchyError(
        f"{path} holds no WordNet: expected a .csv extract, or a folder with data.noun and index.noun such as Debian's "
        "/usr/share/wordnet (apt install wordnet-base) or NLTK's corpora/wordnet."
    )


def _nouns(data: str, index: str, source: str) -> WordNet:
    """Formats: wndb(5WN). Lines that begin with a blank are the licence."""
    senses: dict[str, list[str]] = {}  # lemma -> offsets, most frequent sense first
    for line in index.splitlines():
        if line and not line.startswith(" "):
            fields = line.split()
            senses[fields[0]] = fields[-int(fields[2]) :]
    return WordNet((_synset(line, senses) for line in data.splitlines() if line and not line.startswith(" ")), source)


def _synset(line: str, senses: dict[str, list[str]]) -> Synset:
    fields = line.partition("|")[0].split()
    offset, words = fields[0], int(fields[3], 16)
    lemmas = tuple(fields[4 : 4 + 2 * words : 2])
    first = 4 + 2 * words + 1
    pointers = [fields[at : at + 4] for at in range(first, first + 4 * int(fields[first - 1]), 4)]
    hypernyms = tuple(f"n{target}" for symbol, target, pos, _ in pointers if symbol in ("@", "@i") and pos == "n")
    lemma = lemmas[0].lower()
    return Synset(f"n{offset}", f"{lemma}.n.{senses[lemma].index(offset) + 1:02d}", lemmas, hypernyms)
