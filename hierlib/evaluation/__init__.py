"""Any codec on any labelled pictures: files really cut at byte budgets, decoded, classified, measured.

>>> results = evaluate(codec, pictures, hierarchy, classifiers, budgets=(64, 128, 256))     # doctest: +SKIP
>>> results.table()                                                                       # doctest: +SKIP
"""

from __future__ import annotations

from .calibration import calibration, reliability
from .curves import bd_rate, bytes_at_equal_accuracy, mean_over_log_bytes, paired_difference
from .price import price_of_progressiveness
from .results import Results
from .semantic import median_by_group, n_star, survival
from .sweep import evaluate

__all__ = [
    "Results",
    "bd_rate",
    "bytes_at_equal_accuracy",
    "calibration",
    "evaluate",
    "mean_over_log_bytes",
    "median_by_group",
    "n_star",
    "paired_difference",
    "price_of_progressiveness",
    "reliability",
    "survival",
]
