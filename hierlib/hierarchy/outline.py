"""A hierarchy as a collapsible outline in HTML: opens and closes in any browser, with no kernel and no script."""

from __future__ import annotations

from html import escape

import numpy as np

from .tree import Hierarchy


def outline(hierarchy: Hierarchy) -> str:
    """Nested ``<details>``: the groups of the coarsest level, in each the next level's groups, down to the classes.

    Where levels are not nested, a finer group appears under each coarser one with the classes that they share.
    """
    levels = ", ".join(f"{level} K={K}" for level, K in zip(hierarchy.levels, hierarchy.K))
    title = f"<b>{escape(hierarchy.name)}</b>: {len(hierarchy.wnids)} classes; {escape(levels)}"
    return f"<div style='line-height:1.5'>{title}{_branches(hierarchy, 0, np.arange(len(hierarchy.wnids)))}</div>"


def _branches(hierarchy: Hierarchy, level: int, rows: np.ndarray) -> str:
    if level == len(hierarchy.levels) or (level and hierarchy.K[level] == len(hierarchy.wnids)):
        classes = ", ".join(
            f"<span title='{escape(hierarchy.wnids[r])}'>{escape(hierarchy.names[r])}</span>" for r in rows
        )
        return f"<div style='margin-left:1.2em;color:#444'>{classes}</div>"
    ids = hierarchy.groups[level][rows]
    parts = []
    for group in np.unique(ids):
        inside, whole = rows[ids == group], int(hierarchy.sizes(level)[group])
        count = str(whole) if len(inside) == whole else f"{len(inside)} of {whole}"
        summary = f"{escape(hierarchy.group_names[level][group])} <small style='color:#888'>({count})</small>"
        below = _branches(hierarchy, level + 1, inside)
        parts.append(f"<details style='margin-left:1.2em'><summary>{summary}</summary>{below}</details>")
    return "".join(parts)
