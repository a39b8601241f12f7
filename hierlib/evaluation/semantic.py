"""N*_K: how many bytes a picture needs until its level-K answer is right and stays right.

Its survival curve over a set says in one figure how semantics scale with bytes; no fit, no inverse, no dips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, HierarchyError

if TYPE_CHECKING:
    import pandas as pd

    from ..hierarchy.tree import Hierarchy
    from .results import Results

RUNGS = ("budget", "level", "whole")


def n_star(results: Results, level: str, classifier: str | None = None, *, of_top1: bool = False) -> pd.Series:
    """Fewest bytes of the ladder from which on the answer at ``level`` is right, per picture; NaN if it never settles.

    The ladder of a picture is every point of its file that was measured: budgets, level ends, the whole file. A point
    at which nothing was decodable gives no answer, so it is not right, whatever the majority guess would be.
    of_top1: by the group of the likeliest class instead of the summed probabilities.
    """
    measure = f"right_{level}_of_top1" if of_top1 else f"right_{level}"
    if measure not in results.rows:
        raise DataError(f"These results have no level {level!r}; their levels are {', '.join(results.levels)}.")
    rows = results.of(classifier)
    rows = rows[rows["kind"].isin(RUNGS)]
    right = (rows[measure] & rows["decodable"]).groupby([rows["picture"], rows["bytes"]]).all().sort_index()
    return _settled(right).rename(f"n_star_{level}_bytes")


def _settled(right: pd.Series) -> pd.Series:
    """(picture, bytes) -> whether all answers there are right; sorted. Bytes after each picture's last wrong one."""
    import pandas as pd

    picture, n_bytes = (right.index.get_level_values(i).to_numpy() for i in (0, 1))
    pictures, starts = np.unique(picture, return_index=True)
    if not len(pictures):
        return pd.Series([], index=pd.Index([], name="picture"), dtype=float)
    ends = np.r_[starts[1:], len(picture)]
    places = np.where(right.to_numpy(dtype=bool), -1, np.arange(len(picture)))
    first = np.maximum(np.maximum.reduceat(places, starts) + 1, starts)
    settled = np.where(first < ends, n_bytes[np.minimum(first, len(picture) - 1)], np.nan)
    return pd.Series(settled.astype(float), index=pd.Index(pictures, name="picture"))


def survival(settled: Any, n_bytes: Any) -> np.ndarray:
    """Share of pictures whose answer is not yet settled after each of ``n_bytes``. settled: what ``n_star`` returned.

    >>> survival([10, 20, float("nan"), 20], [9, 10, 20, 1000]).tolist()
    [1.0, 0.75, 0.25, 0.25]
    """
    needed = np.nan_to_num(np.asarray(settled, dtype=float), nan=np.inf)
    if not len(needed):
        raise DataError("There is no picture whose survival could be told.")
    return (needed[None, :] > np.asarray(n_bytes, dtype=float)[:, None]).mean(1)


def median_bytes(settled: Any) -> float:
    """Bytes after which half of all pictures have settled; NaN if half never do."""
    needed = np.sort(np.nan_to_num(np.asarray(settled, dtype=float), nan=np.inf))
    middle = needed[(len(needed) - 1) // 2] if len(needed) else np.inf
    return float(middle) if np.isfinite(middle) else float("nan")


def median_by_group(
    results: Results, hierarchy: Hierarchy, level: str, classifier: str | None = None, *, of_top1: bool = False
) -> pd.DataFrame:
    """A frame, one row per group of ``level`` that has pictures, the quickest first.

    group: its name; n: pictures; median_bytes: after which half of them have settled (NaN if half never do); settled:
    share that ever does. Raises HierarchyError where the tree has no such level, or lacks a class of the pictures.
    """
    import pandas as pd

    index, settled = hierarchy.level(level), n_star(results, level, classifier, of_top1=of_top1)
    row = {wnid: i for i, wnid in enumerate(hierarchy.wnids)}
    of_picture = results.rows.drop_duplicates("picture").set_index("picture")["wnid"]
    strangers = set(of_picture) - set(row)
    if strangers:
        raise HierarchyError(f"{hierarchy.name} lacks {min(strangers)}: use the hierarchy of the results.")
    groups = hierarchy.groups[index][[row[wnid] for wnid in of_picture.loc[settled.index]]]
    rows = [
        {
            "group": hierarchy.group_names[index][group],
            "n": int((groups == group).sum()),
            "median_bytes": median_bytes(settled[groups == group]),
            "settled": float(settled[groups == group].notna().mean()),
        }
        for group in np.unique(groups)
    ]
    return pd.DataFrame(rows).sort_values(["median_bytes", "group"]).reset_index(drop=True)
