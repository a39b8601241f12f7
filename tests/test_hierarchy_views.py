"""Figures and widgets of the hierarchy laboratory show what they are given."""

from datetime import datetime, timezone

import ipywidgets
import numpy as np
import pandas as pd
import pytest

from hierlib import hierarchy as trees
from hierlib.hierarchy import laboratory, measures, wordnet
from hierlib.hierarchy.classes import classes
from hierlib.views import hierarchy_figures as draw
from hierlib.views import hierarchy_widgets as widgets


@pytest.fixture(scope="module")
def tiny():
    return trees.load("tiny-clip")


@pytest.fixture(scope="module")
def wup(tiny):
    return wordnet.wup_matrix(tiny.wnids)


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_bars_are_the_group_sizes(tiny):
    figure = draw.cluster_sizes([tiny, trees.load("tiny-wordnet")], most=5)
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == sorted(tiny.sizes(0), reverse=True)[:5]
    assert texts(right)[0] == "118"


def test_one_dot_a_seed_and_a_diamond_for_the_paper(tiny, wup):
    dots = {"CLIP, k-means": laboratory.figures(wup, laboratory.seeds("tiny", 10, 4))}
    left, right = draw.spread(dots, laboratory.PAPER).axes
    assert len(left.lines[0].get_xdata()) == 4
    assert left.lines[1].get_xdata().item() == 0.583
    assert right.lines[1].get_xdata().item() == 0.426


def test_depth_and_k_share_the_axes(tiny, wup):
    depths = laboratory.depths(wup, tiny.wnids, 4)
    clip = laboratory.along_K(wup, laboratory.shipped_merges("tiny"), (5, 20))
    gap, largest = draw.along_depth_and_k(depths, clip).axes
    assert gap.lines[0].get_xdata().tolist() == depths["K"].tolist()
    assert largest.lines[1].get_ydata().tolist() == clip["largest"].tolist()


def test_confusion_is_drawn_as_shares_of_the_truth(tiny):
    truth = np.arange(200)
    found = measures.confusion(tiny, 0, truth, np.roll(truth, 1))
    (axis,) = draw.confusions({"tiny": found}, {"tiny": tiny.group_names[0]}).axes
    assert np.allclose(axis.images[0].get_array().sum(1), 1)
    assert f"{found.forgiven:.0%}" in axis.get_title("left")


def test_agreement_writes_every_number(tiny):
    pair = [tiny, trees.load("tiny-clip-ward")]
    coarse, finer = laboratory.agreements(pair), laboratory.agreements(pair, 1)
    left, right = draw.agreements(["a", "b"], {"K = 10": coarse, "K = 50": finer}).axes
    assert texts(left) == ["1.00", f"{coarse[0, 1]:.2f}", f"{coarse[1, 0]:.2f}", "1.00"]
    assert texts(right)[1] == f"{finer[0, 1]:.2f}"


def test_intervals_are_drawn_around_their_values():
    table = laboratory.measured(["tiny-clip", "tiny-wordnet"])
    axes = draw.intervals(table).axes
    assert [axis.get_title("left") for axis in axes] == ["intra", "inter", "gap", "entropy", "largest", "silhouette"]
    for axis, figure in zip(axes, ("intra", "inter", "gap", "entropy", "largest", "silhouette")):
        spans, dots = axis.lines[::2], axis.lines[1::2]
        assert [dot.get_xdata().item() for dot in dots] == table[figure].tolist()
        assert all(s.get_xdata()[0] <= d.get_xdata().item() <= s.get_xdata()[1] for s, d in zip(spans, dots))


def test_a_readable_table_has_intervals_in_the_cells_and_blanks_for_nothing():
    table = pd.DataFrame({"level": ["coarse", "fine"], "K": [2, 9], "gap": [0.12345, np.nan]})
    shown = draw.readable(table.assign(**{"gap 95 %": ["0.100 to 0.200", None]}))
    assert shown.to_dict("list") == {
        "level": ["coarse", "fine"],
        "K": ["2", "9"],
        "gap": ["0.123 (0.100 to 0.200)", ""],
    }


def test_the_map_has_a_dot_a_class_and_a_level_switch(tiny):
    points = laboratory.shipped_map("tiny")
    (axis,) = draw.map_figure(tiny, points).axes
    assert (axis.collections[0].get_offsets() == points).all()
    assert len(axis.texts) == 10
    figure = draw.explore_map(tiny, points)
    (dots,) = figure.data
    assert len(dots.x) == len(dots.text) == 200
    assert tiny.group_names[1][tiny.groups[1][0]] in dots.text[0]
    buttons = figure.layout.updatemenus[0].buttons
    assert [button.label for button in buttons] == ["coarse (K = 10)", "intermediate (K = 50)", "fine (K = 200)"]
    assert [len(set(button.args[0]["marker.color"][0])) for button in buttons] == [10, 50, 200]


def test_the_k_slider_is_linked_without_a_kernel(wup, monkeypatch):
    links = []
    monkeypatch.setattr(ipywidgets, "jslink", lambda *ends: links.append(ends))
    box = widgets.k_slider(classes("tiny-imagenet"), laboratory.shipped_merges("tiny"), (2, 5, 9), wup)
    slider, stack = box.children
    assert list(slider._options_labels) == ["2", "5", "9"]
    assert [page.value.count("<small>") for page in stack.children] == [2, 5, 9]
    assert slider.label == "9"  # nearest to the paper's ten
    assert links == [((slider, "index"), (stack, "selected_index"))]


def parts(editor):
    """Widgets of the editor by description; the text and the verdict under these names."""
    found, queue = {"text": editor.children[0], "verdict": editor.children[-1]}, [editor]
    for widget in queue:
        queue.extend(getattr(widget, "children", ()))
        found.setdefault(getattr(widget, "description", ""), widget)
    return found


def uploaded(content):
    about = {"name": "list.csv", "type": "text/csv", "size": len(content), "last_modified": datetime.now(timezone.utc)}
    return ({**about, "content": content},)


def test_the_editor_checks_and_saves(tiny, tmp_path):
    path = tmp_path / "mine.csv"
    part = parts(widgets.tree_editor(tiny.restrict(tiny.wnids[:6]), path))
    text, verdict = part["text"], part["verdict"]
    assert "6 classes" in verdict.value
    assert all(f"<th>{figure}</th>" in verdict.value for figure in ("entropy", "largest", "new_bits", "intra", "gap"))
    good = text.value
    text.value = good.replace("goldfish,0,", "goldfish,<0>,", 1)
    part["Check"].click()
    assert "row 2: class n01443537 has &#x27;&lt;0&gt;&#x27;" in verdict.value
    part["Save"].click()
    assert not path.exists()
    text.value = good
    part["Save"].click()
    assert path.read_text(encoding="utf-8") == good
    assert "Saved to" in verdict.value


def test_the_editor_takes_a_class_list_and_gives_it_levels(tiny, tmp_path):
    part = parts(widgets.tree_editor(tiny, tmp_path / "mine.csv"))
    part["Upload a CSV"].value = uploaded(b"wnid,name\nn01443537,fish\nn02123045,tabby\nn02124075,mau\n")
    assert part["text"].value.startswith("wnid,name,level1,level1_name,level2,")
    assert "3 classes" in part["verdict"].value
    part["Upload a CSV"].value = uploaded(b"wnid,name\nn01443537,fish\nn01443537,tabby\n")
    assert "row 3: class n01443537 is in row 2 already" in part["verdict"].value


def test_the_editor_renames_merges_and_moves(tiny, tmp_path):
    part = parts(widgets.tree_editor(tiny, tmp_path / "mine.csv"))
    text, level, group, another = part["text"], part["level"], part["group"], part["another"]
    assert (level.value, group.label, part["name"].value) == ("coarse", "invertebrate (31)", "invertebrate")
    assert len(part["classes"].options) == 31
    level.value, group.value = "coarse", 2
    part["name"].value = "all dogs"
    part["Rename"].click()
    assert ",all dogs," in text.value
    assert group.label == "all dogs (7)"
    group.value, another.value = 3, 2
    part["Merge into"].click()
    merged = widgets.checked(text.value)[0]
    assert merged.K == (9, 50, 200)
    assert merged.sizes(0)[merged.group_names[0].index("all dogs")] == 7 + 13
    group.value, another.value = 0, 1
    part["classes"].value = [tiny.wnids[0]]
    part["Move classes to"].click()
    moved = widgets.checked(text.value)[0]
    assert moved.sizes(0).tolist()[:2] == [tiny.sizes(0)[0] - 1, tiny.sizes(0)[1] + 1]
    group.value, part["name"].value = 0, "all dogs"
    part["Rename"].click()
    assert "are both called" in part["verdict"].value
    text.value = text.value.replace("all dogs", "dogs")
    part["Rename"].click()  # the table changed under it: nothing is renamed before one has looked again
    assert "choose again" in part["verdict"].value
    assert moved.K == widgets.checked(text.value)[0].K
