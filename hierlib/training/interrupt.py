"""Ctrl-C, and the SIGTERM of a scheduler, end a run between two updates instead of inside one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def between_updates(alone: bool = True) -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether the run was asked to stop. Asked a second time, KeyboardInterrupt is raised.

    alone: False for one of several processes. They must stop after the same update, and each would be asked at another
    moment: signals then do what they did before, as they do outside the main thread, where Python hears none.
    """
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt

    if not alone or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def deaf(_: int) -> None:
    """For a worker process: Ctrl-C reaches all processes of a terminal, and the run still needs its batches.

    SIGTERM it must hear: that is how Python ends what workers are left when it exits, and it would wait for deaf ones.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
