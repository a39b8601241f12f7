"""The table of classes in levels: probabilities, labels, files, and what a wrong table is told."""

import numpy as np
import pytest
import torch

from hierlib import hierarchy as trees
from hierlib.errors import HierarchyError
from hierlib.hierarchy import edit, keys, wordnet
from hierlib.hierarchy.classes import parse as parse_classes
from hierlib.hierarchy.tree import Hierarchy

TABLE = """wnid,name,coarse,coarse_name,fine,fine_name
n02084071,dog,0,animal,0,dog
n02121620,cat,0,animal,1,cat
n02958343,car,1,vehicle,2,car
n02924116,bus,1,vehicle,2,car
"""


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "mine.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def tree(table):
    return trees.load(table(TABLE))


def test_reads_what_a_person_wrote(tree):
    assert tree.name == "mine"
    assert (tree.levels, tree.K) == (("coarse", "fine"), (2, 3))
    assert tree.wnids == ("n02084071", "n02121620", "n02958343", "n02924116")
    assert tree.groups.tolist() == [[0, 0, 1, 1], [0, 1, 2, 2]]
    assert tree.group_names == (("animal", "vehicle"), ("dog", "cat", "car"))
    assert tree.nested


def test_saved_tables_are_read_back_and_spreadsheets_are_understood(tree, tmp_path):
    path = tree.save(tmp_path / "again.csv")
    again = trees.load(path)
    assert again.to_csv() == tree.to_csv() == TABLE
    path.write_bytes(
        b"\xef\xbb\xbf" + TABLE.replace("\n", "\r\n").encode() + b",,,,,\r\n"
    )  # a byte order mark, CRLF, a blank row
    assert trees.load(path).to_csv() == TABLE


def test_group_probability_is_the_sum_of_its_members(tree):
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])) + 5  # softmax ignores the 5
    coarse = tree.log_probabilities(logits, "coarse").exp()
    assert torch.allclose(coarse, torch.tensor([[0.3, 0.7], [0.8, 0.2]]))
    assert torch.allclose(tree.log_probabilities(logits, 1).exp()[0], torch.tensor([0.1, 0.2, 0.7]))


def test_log_probabilities_of_a_shipped_tree_agree_with_plain_summing_and_its_gradient():
    tree = trees.load("tiny-clip")
    logits = torch.randn(3, 2, 200, dtype=torch.float64, requires_grad=True)
    for level, K in enumerate(tree.K):
        found = tree.log_probabilities(logits, level)
        members = torch.nn.functional.one_hot(torch.tensor(tree.groups[level].tolist()), K).double()
        expected = (logits.softmax(-1) @ members).log()
        assert torch.allclose(found, expected, atol=1e-12)
        ours, theirs = (torch.autograd.grad(x[..., 0].sum(), logits, retain_graph=True)[0] for x in (found, expected))
        assert torch.allclose(ours, theirs, atol=1e-12)


def test_log_probabilities_stand_extreme_logits(tree):
    logits = torch.tensor([2000.0, 0.0, -2000.0, 0.0], requires_grad=True)
    found = tree.log_probabilities(logits, 0)
    found[1].backward()
    assert torch.equal(found.detach(), torch.tensor([0.0, -2000.0]))
    assert torch.isfinite(logits.grad).all()
    assert tree.log_probabilities(logits.detach().half(), 0).dtype == torch.float32


def test_labels_keep_the_kind_of_what_comes_in(tree):
    assert tree.labels(3, "coarse") == 1
    assert isinstance(tree.labels(3, "coarse"), int)
    assert tree.labels(np.array([[0, 3]]), 0).tolist() == [[0, 1]]
    assert torch.equal(tree.labels(torch.tensor([1, 2]), 1), torch.tensor([1, 2]))


def test_majority_is_the_share_of_the_largest_group(tree):
    assert tree.majority([0, 1, 2], 0) == pytest.approx(2 / 3)
    assert tree.majority(torch.tensor([0, 1, 2, 3, 3]), 1) == pytest.approx(3 / 5)


def test_breadcrumb_goes_from_coarse_to_fine(tree):
    logits = torch.log(torch.tensor([0.35, 0.25, 0.3, 0.1]))
    trail = tree.breadcrumb(logits)
    assert [name for name, _ in trail] == ["animal", "car"]  # levels answer for themselves
    assert [p for _, p in trail] == pytest.approx([0.6, 0.4])
    levels = [tree.log_probabilities(logits, level) for level in range(2)]
    assert tree.breadcrumb(levels) == trail
    with pytest.raises(HierarchyError, match=r"\(2, 4\)|one picture"):
        tree.breadcrumb(logits[None].repeat(2, 1))


def test_restrict_keeps_order_and_closes_the_gaps(tree):
    few = tree.restrict(["n02958343", "n02121620"])
    assert few.names == ("car", "cat")
    assert few.groups.tolist() == [[1, 0], [1, 0]]
    assert few.group_names == (("animal", "vehicle"), ("cat", "car"))
    with pytest.raises(HierarchyError, match="n00000000"):
        tree.restrict(["n00000000"])
    with pytest.raises(HierarchyError, match="n02958343 is in rows 0 and 1"):
        tree.restrict(["n02958343", "n02958343"])


def test_tiny_restricts_from_imagenet():
    tiny = trees.load("tiny-clip")
    assert trees.load("imagenet-clip").restrict(tiny.wnids).wnids == tiny.wnids


def test_wrong_logits_and_levels_are_refused(tree):
    with pytest.raises(HierarchyError, match=r"4 classes.*\(2, 5\)"):
        tree.log_probabilities(torch.zeros(2, 5), 0)
    with pytest.raises(HierarchyError, match=r"no level 'middle': its levels are coarse, fine"):
        tree.labels([0], "middle")
    with pytest.raises(HierarchyError, match="2 levels"):
        tree.labels([0], 2)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("n02121620,cat,0,animal", "n02121620,cat,5,animal", "row 3: group 2 of level 'coarse' is empty"),
        (
            "n02121620,cat,0,animal",
            "n02121620,cat,0,beast",
            "row 3: group 0 of level 'coarse' is called 'beast'.*row 2",
        ),
        ("n02121620,cat,0,animal", "n02121620,cat,0;1,animal", "row 3: class n02121620 has '0;1'"),
        ("n02121620,cat,0,animal", "n02121620,cat,-1,animal", "row 3: class n02121620 has '-1'"),
        ("n02121620,cat,0,animal", "n02121620,cat,,animal", "row 3: class n02121620 has ''"),
        ("n02121620,cat,0,animal", "n02121620,cat,0,", "row 3: group 0 of level 'coarse' has no name"),
        ("n02121620,cat", "n02121620,", "row 3: a class needs a wnid and a name"),
        ("n02121620,cat,", "n02121620,cat, black,", "row 3: found 7 cells, the header has 6: quote"),
        (
            "n02121620,cat,0,animal,1,cat",
            "n02084071,dog,0,animal,0,dog",
            "row 3: class n02084071 is in row 2 already: keep",
        ),
        (
            "n02121620,cat,0,animal,1,cat",
            "n02084071,cat,0,animal,1,cat",
            "row 3: class n02084071.*two groups of level 'fine'",
        ),
        ("1,cat\n", "1,dog\n", "row 3: groups 0 and 1 of level 'fine' are both called 'dog': rename one"),
        ("coarse_name", "Coarse", "row 1: found the columns wnid,name,coarse,Coarse"),
        ("wnid,name", "id,name", "row 1: found the columns id,name"),
    ],
)
def test_a_wrong_table_is_told_its_row(table, before, after, message):
    assert before in TABLE
    with pytest.raises(HierarchyError, match=message):
        trees.load(table(TABLE.replace(before, after, 1)))


@pytest.mark.parametrize("text", ["", "\n\n", TABLE.splitlines()[0], "wnid,name\nn1,a\n"])
def test_a_table_without_classes_or_levels_is_refused(table, text):
    with pytest.raises(HierarchyError, match="expected"):
        trees.load(table(text))


def test_unknown_names_and_files_say_what_there_is(tmp_path):
    with pytest.raises(HierarchyError, match=r"no hierarchy is called 'imagnet'.*imagenet-clip"):
        trees.load("imagnet")
    with pytest.raises(HierarchyError, match="cannot be read"):
        trees.load(tmp_path / "missing.csv")
    (tmp_path / "latin.csv").write_bytes(TABLE.replace("cat", "béte").encode("latin-1"))
    with pytest.raises(HierarchyError, match="UTF-8"):
        trees.load(tmp_path / "latin.csv")


def test_a_hierarchy_made_in_python_is_checked_too():
    with pytest.raises(HierarchyError, match=r"group 1 .*is empty"):
        Hierarchy("bad", ("a", "b"), ("a", "b"), ("one",), np.array([[0, 0]]), (("x", "y"),))
    with pytest.raises(HierarchyError, match="group 1 of level 'one' has no name"):
        Hierarchy("bad", ("a", "b"), ("a", "b"), ("one",), np.array([[0, 1]]), (("x", " "),))
    with pytest.raises(HierarchyError, match=r"expected groups of shape \(1, 2\)"):
        Hierarchy("bad", ("a", "b"), ("a", "b"), ("one",), np.array([0, 0]), (("x",),))
    with pytest.raises(HierarchyError, match="ids run from 0 to 0"):
        Hierarchy("bad", ("a", "b"), ("a", "b"), ("one",), np.array([[0, 1]]), (("x",),))
    with pytest.raises(HierarchyError, match="0 classes"):
        Hierarchy("bad", (), (), ("one",), np.empty((1, 0)), ((),))


def test_html_is_a_tree_that_escapes_names(table):
    html = trees.load(table(TABLE.replace("animal", "<b>animal</b>")))._repr_html_()
    assert html.count("<details") == 2 + 3  # two coarse groups, three fine ones
    assert "&lt;b&gt;animal" in html
    assert "<b>animal" not in html


def test_edits_give_new_valid_trees(tree):
    assert edit.rename(tree, "coarse", "animal", "pet").group_names[0] == ("pet", "vehicle")
    moved = edit.move(tree, "fine", ["n02121620"], "dog")  # the last cat moves in with the dogs
    assert moved.groups[1].tolist() == [0, 0, 1, 1]
    assert moved.group_names[1] == ("dog", "car")
    merged = edit.merge(tree, "fine", ["dog", "cat"], "pet")
    assert merged.groups[1].tolist() == [0, 0, 1, 1]
    assert merged.group_names[1] == ("pet", "car")
    assert tree.groups[1].tolist() == [0, 1, 2, 2]
    with pytest.raises(HierarchyError, match="none is 'vehicel': for example vehicle"):
        edit.merge(tree, "coarse", ["vehicel"], "x")
    with pytest.raises(HierarchyError, match="both called 'dog'"):
        edit.rename(tree, "fine", "cat", "dog")
    with pytest.raises(HierarchyError, match="'n0' is not in mine"):
        edit.move(tree, "fine", ["n0"], "dog")


TREE = "wnid,name,coarse,coarse_name\nn02088364,beagle,0,dog\n{key},cat,1,other\nn04146614,bus,1,other\n"


@pytest.fixture(params=[False, True], ids=["no WordNet", "WordNet"])
def installed(request, monkeypatch):
    """Whether this machine has a whole WordNet beside the extract: here a small one, which knows the abacus too."""
    extract = keys.shipped_wordnet()
    abacist = wordnet.Synset("n09753792", "abbot.n.01", ("abbot",), ())
    whole = wordnet.WordNet([*extract.synsets.values(), abacist]) if request.param else None
    monkeypatch.setattr(keys, "_whole", lambda: whole)
    return request.param


def test_an_unknown_id_is_refused_with_its_row(installed, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(TREE.format(key="n99999999"))
    expected = "no noun at that offset" if installed else "no WordNet is installed to look it up in: .*wordnet-base"
    with pytest.raises(HierarchyError, match=rf"mine\.csv, row 3: 'n99999999' is no WordNet id.*{expected}"):
        trees.load(path)
    with pytest.raises(HierarchyError, match=r"here, row 2: 'n99999999' is no WordNet id"):
        parse_classes("wnid,name\nn99999999,dog\n", "here")
    path.write_text(TREE.format(key="n0212304"))
    with pytest.raises(HierarchyError, match=r"row 3: 'n0212304' is no WordNet id: expected one like n02084071"):
        trees.load(path)


def test_an_id_beyond_the_extract_is_looked_up(installed, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(TREE.format(key="n09753792"))
    if installed:
        assert trees.load(path).wnids[1] == "n09753792"
    else:
        with pytest.raises(HierarchyError, match="row 3: 'n09753792'"):
            trees.load(path)


def test_keys_of_your_own_are_left_alone(installed, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(TREE.replace("n02088364", "a").replace("n04146614", "b").format(key="c"))
    assert trees.load(path).wnids == ("a", "c", "b")
