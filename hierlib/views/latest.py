"""Latest value wins: what keeps a live control from falling behind the hand that moves it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestWins(Generic[T]):
    """Run ``work(value)`` off the caller's thread for the newest value; values overtaken meanwhile are dropped.

    Slider callbacks otherwise pile up: each is cheap to send and slow to serve. Never two ``work`` at once, and the
    last value submitted is always served. An exception goes to ``failed`` and the next value is served as usual.
    """

    def __init__(self, work: Callable[[T], None], failed: Callable[[Exception], None]) -> None:
        self._work, self._failed = work, failed
        self._lock = threading.Condition()
        self._waiting: list[T] = []  # none or one
        self._busy = False

    def submit(self, value: T) -> None:
        """Ask for ``value``; returns at once."""
        with self._lock:
            self._waiting = [value]
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._run, daemon=True).start()

    def wait(self, timeout_s: float) -> bool:
        """Block until nothing is asked for and nothing is being done; False if that took longer than ``timeout_s``."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._busy, timeout_s)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    self._lock.notify_all()
                    return
                value = self._waiting.pop()
            try:
                self._work(value)
            except Exception as error:  # shown to the person at the control: a thread has no caller to raise to
                self._failed(error)
