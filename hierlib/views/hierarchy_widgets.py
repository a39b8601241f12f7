"""Two controls of the hierarchy laboratory: a slider over K that needs no kernel, an editor for a tree of your own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import HierlibError
from ..hierarchy import edit
from ..hierarchy.build import from_groups, read_own
from ..hierarchy.grouping import cut
from ..hierarchy.laboratory import examine, similarity
from ..hierarchy.outline import outline
from .hierarchy_figures import readable

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
    start = int(np.argmin(np.abs(np.array(K) - 10)))  # where the paper is
    stack = W.Stack(pages, selected_index=start)
    slider = W.SelectionSlider(
        options=[(str(k), place) for place, k in enumerate(K)], index=start, description="groups K", layout=WIDE
    )
    W.jslink((slider, "index"), (stack, "selected_index"))
    return W.VBox([slider, stack])


def tree_editor(hierarchy: Hierarchy, path: str | Path) -> ipywidgets.Widget:
    """A tree to edit: its groups by hand, or its CSV, or another one by upload; a class list (``wnid,name``) will do.

    A group can be renamed, or merged into another, and some of its classes moved. After each change, and on "Check",
    the levels a codec would be trained on stand below, with balance and coherence, or which row is wrong. "Save" writes
    the tree to ``path`` if nothing is.
    """
    return _Editor(hierarchy, Path(path)).box


class _Editor:
    """The text is the tree; every button reads it, changes it and shows what came out."""

    def __init__(self, hierarchy: Hierarchy, path: Path) -> None:
        import ipywidgets as W

        self.path, self.tree, self.shown = path, hierarchy, hierarchy.to_csv()
        self.text = W.Textarea(layout={"width": "100%", "height": "240px"})
        self.level = W.Dropdown(description="level")
        self.group = W.Dropdown(description="group", layout={"width": "420px"})
        self.name = W.Text(description="name", layout={"width": "420px"})
        self.target = W.Dropdown(description="another", layout={"width": "420px"})
        self.members = W.SelectMultiple(description="classes", rows=8, layout={"width": "420px"})
        buttons = {
            "Rename": lambda: edit.rename(self.tree, self.level.value, self.group.value, self.name.value.strip()),
            "Merge into": lambda: edit.merge(
                self.tree, self.level.value, (self.group.value, self.target.value), self.target.label
            ),
            "Move classes to": lambda: edit.move(self.tree, self.level.value, self.members.value, self.target.value),
        }
        rename, merge, move = (W.Button(description=label) for label in buttons)
        for button, change in zip((rename, merge, move), buttons.values()):
            button.on_click(lambda _, change=change: self.change(change))
        self.upload = W.FileUpload(accept=".csv", description="Upload a CSV")
        check, save = W.Button(description="Check"), W.Button(description="Save", button_style="primary")
        self.verdict = W.HTML()
        self.level.observe(lambda _: self.offer_groups(), "value")
        self.group.observe(lambda _: self.offer_members(), "value")
        self.upload.observe(self.take, "value")
        check.on_click(lambda _: self.show())
        save.on_click(lambda _: self.save())
        by_hand = W.VBox([
            W.HBox([self.level, self.group]),
            W.HBox([self.name, rename]),
            W.HBox([self.target, merge, move]),
            self.members,
        ])  # fmt: skip
        self.box = W.VBox([self.text, W.HBox([self.upload, check, save]), by_hand, self.verdict])
        self.text.value = self.shown
        self.show()

    def show(self) -> bool:
        """Read the text, say what it is, offer its groups. True if it is a tree."""
        tree, self.verdict.value = checked(self.text.value)
        if tree is None:
            return False
        self.tree, self.shown = tree, self.text.value
        before, group = self.level.value, self.group.value
        self.level.options = tree.levels
        self.level.value = before if before in tree.levels else tree.levels[0]
        self.offer_groups()
        if group is not None and group < len(self.group.options):
            self.group.value = group
        return True

    def offer_groups(self) -> None:
        if self.level.value is not None:
            names = self.tree.group_names[self.tree.level(self.level.value)]
            sizes = self.tree.sizes(self.level.value)
            self.group.options = [(f"{name} ({size})", at) for at, (name, size) in enumerate(zip(names, sizes))]
            self.target.options = [(name, at) for at, name in enumerate(names)]
            self.group.value, self.target.value = 0, len(names) - 1  # an empty list has chosen none, and keeps to it
            self.offer_members()

    def offer_members(self) -> None:
        if self.group.value is not None:
            index = self.tree.level(self.level.value)
            self.name.value = self.tree.group_names[index][self.group.value]
            rows = self.tree.members(index, self.group.value)
            self.members.options = [(self.tree.names[row], self.tree.wnids[row]) for row in rows]

    def take(self, change: dict) -> None:
        if change["new"]:
            self.text.value = bytes(change["new"][0]["content"]).decode("utf-8-sig", errors="replace")
            if self.show():  # a class list got levels: they are there to be edited
                self.text.value = self.shown = self.tree.to_csv()

    def change(self, make: Callable[[], Hierarchy]) -> None:
        if self.text.value != self.shown:  # what was chosen above may mean another group now
            if self.show():
                self.verdict.value += "<p>The table had been edited: choose again, then press once more.</p>"
            return
        try:
            self.text.value = make().to_csv()
        except HierlibError as error:
            self.verdict.value = _refusal(error)
        else:
            self.show()

    def save(self) -> None:
        if self.show():
            self.tree.save(self.path)
            path = escape(str(self.path))
            self.verdict.value += f"<p>Saved to {path}. Train on it with hierarchy = that path in a recipe.</p>"


def checked(text: str, name: str = "my-tree") -> tuple[Hierarchy | None, str]:
    """A CSV's tree and, as HTML, its levels and its outline; or None and the sentence that says what is wrong.

    Coherence (Wu-Palmer) is shown where the keys are WordNet ids.
    """
    try:
        tree = read_own(text, name, "this table")
        table = readable(examine(tree, similarity(tree)))
    except HierlibError as error:
        return None, _refusal(error)
    return tree, f"{table.to_html(index=False, border=0, justify='left')}{outline(tree)}"


def _refusal(error: HierlibError) -> str:
    return f"<p style='color:#d55e00'>{escape(str(error))}</p>"


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
        f"largest group {figures['largest']:.0%} · {figures['bits']:.2f} bits"
    )
    return f"<p><b>{line}</b></p><div style='line-height:1.7'>{chips}</div>"
