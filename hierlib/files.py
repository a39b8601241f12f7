"""Where things lie, and how a file is written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CheckpointError, DataError

if TYPE_CHECKING:
    from torch import Tensor

PACKAGE = Path(__file__).resolve().parent


def shipped(*parts: str) -> Path:
    """Path of a file that the project ships under ``data/`` (a checkout), or inside the installed wheel.

    Raises DataError if it is not there.
    """
    for root in (PACKAGE.parent / "data", PACKAGE / "_data"):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise DataError(
        f"{'/'.join(parts)} is not among the shipped data: reinstall the project, or make it with its notebook."
    )


def imagenet_wnids() -> tuple[str, ...]:
    """The WordNet ids of ImageNet-1K's 1000 classes, in the usual order of logits."""
    lines = shipped("classes", "imagenet.csv").read_text().splitlines()
    return tuple(line.split(",", 1)[0] for line in lines[1:])


def data_root() -> Path | None:
    """The folder named by ``HIERLIB_DATA`` (parquet packs, ImageFolders), or None where the variable is not set.

    Raises DataError if the variable names something that is no folder.
    """
    named = os.environ.get("HIERLIB_DATA")
    if not named:
        return None
    root = Path(named).expanduser()
    if not root.is_dir():
        raise DataError(
            f"HIERLIB_DATA names {root}, which is no folder: set it to the folder of the packs, or unset it."
        )
    return root


LEFT_BEHIND = ".*-????????.*"  # what a kill in the middle of ``replacing`` leaves, as a pattern of glob


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Hand out a temporary path beside ``path`` and rename it into place if the block ends well.

    A failure, Ctrl-C or a full disk leaves what was at ``path`` before, and no debris.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write ``content`` to ``path`` whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as indented JSON, whole or not at all. NaN is refused: it is not JSON."""
    write_bytes(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_weights(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors of a safetensors file of ours and what it says of itself, its metadata ``about``.

    kind: what it must be, ``hierlib-codec`` or ``hierlib-classifier``. Raises CheckpointError for a file that is
    missing, damaged, foreign, or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"There is no weights file {path}: give the path of a .safetensors file of hierlib's.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}): it is damaged or no safetensors file, copy it again."
        ) from None
    if metadata.get("kind") != kind:
        raise CheckpointError(
            f"{path} holds {metadata.get('kind', 'something else')}, not a {kind}: name another file."
        )
    return tensors, json.loads(metadata["about"])


def between_marks(text: str, name: str, content: str) -> str:
    """``text`` with ``content`` between its lines ``<!-- name: begin -->`` and ``<!-- name: end -->``.

    How a table that a command computes gets into a page that people write. Raises DataError if it has not both marks.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    first, last = text.find(begin), text.find(end)
    if not 0 <= first < last:
        raise DataError(f"The page has no place for the {name}: put {begin} and {end} where it belongs.")
    return f"{text[: first + len(begin)]}\n{content}\n{text[last:]}"


def digest(path: str | Path) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a file: how results name the weights they came from."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
