"""Fixtures of the browser tests; the benchmarks use them too."""

from browsing import browser, lab, port

__all__ = ["browser", "lab", "port"]
