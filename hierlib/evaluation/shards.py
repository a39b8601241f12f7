"""Partial results of a long sweep, on disk: what is finished stays finished.

A file of JSON lines. The first says which evaluation it belongs to; each further one holds the rows of some pictures.
A line is written at once and flushed, so that a kill leaves at most one torn line at the end, which is cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DataError

BEGINNING = b'{"run": '


class Shards:
    """Finished chunks of a sweep; ``path`` None keeps them in memory alone.

    run: what identifies the evaluation. Raises DataError if the file at ``path`` belongs to another one.
    """

    def __init__(self, path: Path | None, run: Mapping[str, Any]) -> None:
        self.path, self.chunks = path, list[dict[str, Any]]()
        if path is None:
            return
        head = {"run": json.loads(json.dumps(run))}
        lines = self._whole_lines(path)
        if not lines:
            self._write(json.dumps(head) + "\n", "w")
            return
        found = _parsed(path, lines[0]).get("run", {})
        differing = sorted(key for key in {*found, *head["run"]} if found.get(key) != head["run"].get(key))
        if differing:
            raise DataError(
                f"{path} holds the beginning of another evaluation (other {', '.join(differing)}): "
                "go on with the same settings, or name another file to resume from."
            )
        self.chunks = [_parsed(path, line) for line in lines[1:]]

    @property
    def pictures_done(self) -> int:
        return sum(chunk["pictures"] for chunk in self.chunks)

    def append(self, chunk: dict[str, Any]) -> None:
        """Add a finished chunk; ``chunk["pictures"]`` is how many pictures it holds."""
        if self.path is not None:
            self._write(json.dumps(chunk) + "\n", "a")
        self.chunks.append(chunk)

    def _write(self, line: str, mode: str) -> None:
        assert self.path is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, mode, encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def _whole_lines(path: Path) -> list[bytes]:
        """The lines of the file, after cutting off what a kill left behind the last whole one."""
        if not path.exists():
            return []
        if not path.is_file():
            raise DataError(f"{path} is no file to resume from: name a .jsonl file.")
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            if not content.startswith(BEGINNING[: len(content)]):
                raise DataError(f"{path} is no file that an evaluation left to resume from: name another one.")
            os.truncate(path, len(whole))
        return whole.splitlines()


def _parsed(path: Path, line: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise DataError(f"{path} is no file that an evaluation left to resume from: name another one.")
    return parsed
