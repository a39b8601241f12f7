"""Any codec on any labelled pictures: files really cut at byte budgets, decoded, classified, measured.

>>> results = evaluate(codec, pictures, hierarchy, classifiers, budgets=(64, 128, 256))     # doctest: +SKIP
>>> results.table()                                                                       # doctest: +SKIP
"""

from __future__ import annotations

from .curves import bd_rate, bytes_at_equal_accuracy, mean_over_log_bytes, paired_difference
from .results import Results
from .semantic import n_star, survival
from .sweep import evaluate

__all__ = [
    "Results",
    "bd_rate",
    "bytes_at_equal_accuracy",
    "evaluate",
    "mean_over_log_bytes",
    "n_star",
    "paired_difference",
    "survival",
]
