"""What the command line takes: numbers, each with the sentence that refuses what is none."""

from __future__ import annotations

import argparse
import re

from .errors import BudgetError


def budget(text: str) -> int:
    """A number of bytes, at least 1. BudgetError passes through argparse, so that it reads like every other refusal."""
    if re.fullmatch(r"\s*[+-]?\d+\s*", text) is None:
        raise BudgetError(f"{text!r} is no number of bytes: give a whole number, at least 1.")
    if int(text) < 1:
        raise BudgetError(f"A budget of {int(text)} bytes holds nothing: give at least 1 byte.")
    return int(text)


def budgets(text: str) -> tuple[int, ...]:
    """Numbers of bytes between commas, rising, each once."""
    return tuple(sorted({budget(part) for part in text.split(",")}))


def count(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def share(text: str) -> float:
    """An error rate, between 0 and 1."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1:
        raise BudgetError(f"{text!r} is no error rate: give a number between 0 and 1, such as 0.2.")
    return found


def port(text: str) -> int:
    """A port of TCP."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)
