"""Two controls of the hierarchy laboratory: a slider over K that needs no kernel, an editor for a tree of your own."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import HierlibError
from ..hierarchy.build import from_groups, read_own
from ..hierarchy.grouping import cut
from ..hierarchy.laboratory import examine

if TYPE_CHECKING:
    import ipywidgets
    import pandas as pd

    from ..hierarchy.classes import ClassList
    from ..hierarchy.tree import Hierarchy

WIDE = {"width": "100%"}


def k_slider(listed: ClassList, merges: np.ndarray, K: Sequence[int], wup: np.ndarray) -> ipywidgets.Widget:
    """A slider over numbers of groups: the groups of the Ward tree at that K, by name and size, and their figures.

    Every position is worked out beforehand and linked on the page itself, so it moves in a stored notebook too.
    """
    import ipywidgets as W

    pages = []
    for k in K:
        hierarchy = from_groups("CLIP", listed, cut(merges, k), [f"K = {k}"])
        figures = examine(hierarchy, wup).iloc[0]
        pages.append(W.HTML(_page(hierarchy, figures)))
    stack = W.Stack(pages, selected_index=0)
    slider = W.SelectionSlider(
        options=[(str(k), place) for place, k in enumerate(K)], description="groups K", layout=WIDE
    )
    W.jslink((slider, "index"), (stack, "selected_index"))
    return W.VBox([slider, stack])


def tree_editor(hierarchy: Hierarchy, path: str | Path) -> ipywidgets.Widget:
    """A tree as a CSV to edit, or to replace by the upload of a tree or a class list (``wnid,name``).

    "Check" says what a codec would be trained on, or which row is wrong; "Save" writes it to ``path`` if none is.
    """
    import ipywidgets as W

    text = W.Textarea(value=hierarchy.to_csv(), layout={"width": "100%", "height": "240px"})
    upload = W.FileUpload(accept=".csv", description="Upload a CSV")
    check, save = W.Button(description="Check"), W.Button(description="Save", button_style="primary")
    verdict = W.HTML(checked(text.value)[1])

    def on_upload(change: dict) -> None:
        if change["new"]:
            text.value = bytes(change["new"][0]["content"]).decode("utf-8-sig", errors="replace")
            verdict.value = checked(text.value)[1]

    def on_check(_: object) -> None:
        verdict.value = checked(text.value)[1]

    def on_save(_: object) -> None:
        tree, words = checked(text.value)
        if tree is not None:
            tree.save(path)
            words += f"<p>Saved to {escape(str(path))}; train with hierarchy = that path.</p>"
        verdict.value = words

    upload.observe(on_upload, "value")
    check.on_click(on_check)
    save.on_click(on_save)
    return W.VBox([text, W.HBox([upload, check, save]), verdict])


def checked(text: str, name: str = "my-tree") -> tuple[Hierarchy | None, str]:
    """A CSV's tree and a table of its levels as HTML; or None and the sentence that says which row is wrong."""
    try:
        tree = read_own(text, name, "this table")
    except HierlibError as error:
        return None, f"<p style='color:#d55e00'>{escape(str(error))}</p>"
    table = examine(tree).to_html(index=False, float_format=lambda value: f"{value:.3f}", border=0)
    return tree, f"<p>{escape(repr(tree))}</p>{table}"


def _page(hierarchy: Hierarchy, figures: pd.Series) -> str:
    sizes = hierarchy.sizes(0)
    order = np.argsort(-sizes, kind="stable")
    chips = " ".join(
        f"<span style='display:inline-block;border:1px solid #8884;border-radius:4px;padding:0 .4em;margin:.1em'>"
        f"{escape(hierarchy.group_names[0][group])} <small>{sizes[group]}</small></span>"
        for group in order
    )
    line = (
        f"intra {figures['intra']:.3f} · inter {figures['inter']:.3f} · gap {figures['gap']:.3f} · "
        f"largest group {figures['chance']:.0%} · {figures['bits']:.2f} bits"
    )
    return f"<p><b>{line}</b></p><div style='line-height:1.7'>{chips}</div>"
