"""What a running notebook prints, passed on to whoever started it."""

from __future__ import annotations

import time
from typing import TextIO

# In a kernel tqdm.auto draws a widget, which nobody sees who runs notebooks from a terminal: have it write text.
TEXT_BARS = "import sys, tqdm.std; sys.modules['tqdm.autonotebook'] = sys.modules['tqdm.std']"


class Relay:
    """A file to write to that repeats lines to ``out``, indented, and thins out progress bars.

    A bar redraws itself after a carriage return. A terminal gets each drawing; a log gets one line every ``every_s``
    seconds, and the last.
    """

    def __init__(self, out: TextIO, every_s: float = 10.0, indent: str = "    ") -> None:
        self._out, self._every_s, self._indent = out, every_s, indent
        self._line = ""
        self._told = True  # the line, as it now is
        self._told_at = time.monotonic()

    def write(self, text: str) -> int:
        for piece in text.splitlines(keepends=True):
            body = piece.rstrip("\r\n")
            self._told = self._told and not body
            self._line += body
            if piece.endswith(("\r", "\n")):
                if piece.endswith("\n"):
                    self._tell("\n")
                self._line = ""
        return len(text)

    def flush(self) -> None:
        """Show the drawing of a bar that has no end of line yet, if it is time."""
        terminal = self._out.isatty()
        if terminal or time.monotonic() - self._told_at > self._every_s:
            self._tell("\r" if terminal else "\n")
        self._out.flush()

    def _tell(self, end: str) -> None:
        if self._line.strip() and not (self._told and end == "\n" and not self._out.isatty()):
            self._out.write(f"{self._indent}{self._line.rstrip()}{end}")
            self._told, self._told_at = True, time.monotonic()
