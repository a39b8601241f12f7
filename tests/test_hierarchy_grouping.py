"""Groupings, their names and figures: on points whose groups are known, by libraries, and by hand."""

import re
import warnings
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from hierlib.errors import HierarchyError
from hierlib.hierarchy import build, grouping, measures, naming
from hierlib.hierarchy.classes import ClassList, classes
from hierlib.hierarchy.locate import shipped_names
from hierlib.hierarchy.tree import load
from hierlib.hierarchy.wordnet import shipped_wordnet


@pytest.fixture(scope="module")
def clouds():
    """60 points in 12 tight clouds of 5, the clouds in 3 distant families of 4; and which is which."""
    rng = np.random.default_rng(0)
    families = np.eye(16)[:3] * 3
    centres = np.repeat(families, 4, 0) + np.eye(16)[3:15]
    points = np.repeat(centres, 5, 0) + rng.normal(0, 0.02, (60, 16))
    shuffled = rng.permutation(60)
    return points[shuffled], (np.arange(60) // 20)[shuffled], (np.arange(60) // 5)[shuffled]


def nested(groups):
    return all(len(set(coarse[fine == k])) == 1 for coarse, fine in pairwise(groups) for k in set(fine))


@pytest.mark.parametrize("method", ["kmeans", "balanced", "ward"])
@pytest.mark.parametrize("nest", [False, True])
def test_finds_the_clouds(clouds, method, nest):
    points, family, cloud = clouds
    found = grouping.group(points * np.linspace(1, 9, 60)[:, None], (3, 12, 60), method, nest)  # length does not matter
    assert measures.agreement(found[0], family) == measures.agreement(found[1], cloud) == 1
    assert found[2].tolist() == list(range(60))
    assert nested(found)


def test_runs_of_several_seeds_are_those_of_each_seed():
    points = np.random.default_rng(4).normal(size=(120, 6))
    expected = [grouping.kmeans(points, 9, seed).tolist() for seed in (0, 1, 5, 7)]
    assert grouping.kmeans_runs(points, 9, (0, 1, 5, 7)).tolist() == expected
    assert len({str(ids) for ids in expected}) > 1


def test_ids_are_numbered_by_first_member():
    assert grouping.in_order(np.array([7, 7, 2, 9, 2])).tolist() == [0, 0, 1, 2, 1]


@pytest.mark.parametrize("method", ["kmeans", "balanced", "ward"])
def test_nested_groups_nest_where_nothing_does_by_itself(method):
    points = np.random.default_rng(1).normal(size=(90, 8))
    found = grouping.group(points, (4, 10, 30, 50, 90), method, nested=True, seed=3)
    assert [len(set(ids)) for ids in found] == [4, 10, 30, 50, 90]
    assert nested(found)
    assert (grouping.group(points, (4, 10, 30, 50, 90), method, nested=True, seed=3) == found).all()


@pytest.mark.parametrize("K", [1, 4, 7, 30, 90])
def test_balanced_sizes_differ_by_one_at_most(K):
    sizes = np.bincount(grouping.balanced(np.random.default_rng(2).normal(size=(90, 8)), K))
    assert len(sizes) == K
    assert sizes.max() - sizes.min() <= 1


def test_ward_agrees_with_scikit_learn():
    from sklearn.cluster import AgglomerativeClustering

    points = grouping.unit(np.random.default_rng(3).normal(size=(80, 6)))
    for K in (2, 9, 33, 80):
        theirs = AgglomerativeClustering(K, linkage="ward").fit(points).labels_
        assert measures.agreement(grouping.ward(points, K), theirs) == 1


def test_average_linkage_of_a_similarity():
    """By hand: 0 and 1 are nearest, then 2 joins them at (0.5 + 0.3) / 2, before 3 at 0.2."""
    similar = np.array([[1, 0.9, 0.5, 0.2], [0.9, 1, 0.3, 0.2], [0.5, 0.3, 1, 0.2], [0.2, 0.2, 0.2, 1]])
    assert grouping.by_similarity(similar, (2, 3)).tolist() == [[0, 0, 0, 1], [0, 0, 1, 2]]


def test_shares_are_proportional_and_exact():
    assert grouping.shares(np.array([50, 30, 20]), 10).tolist() == [5, 3, 2]
    assert grouping.shares(np.array([97, 1, 2]), 5).tolist() == [3, 1, 1]
    assert grouping.shares(np.array([2, 1, 2]), 5).tolist() == [2, 1, 2]


def test_bad_groupings_are_refused():
    points = np.eye(5)
    with pytest.raises(HierarchyError, match="6 groups of 5 classes: choose between 1 and 5"):
        grouping.kmeans(points, 6)
    with pytest.raises(HierarchyError, match="0 groups"):
        grouping.ward(points, 0)
    for K in ((3, 3), (4, 2), ()):
        with pytest.raises(HierarchyError, match="grow from coarse to fine"):
            grouping.group(points, K)
    with pytest.raises(HierarchyError, match="row 2 of the embeddings"):
        grouping.kmeans(points * [[1], [1], [0], [1], [1]], 2)
    with pytest.raises(HierarchyError, match="row 4 of the embeddings"):
        grouping.kmeans(points * [[1], [1], [1], [1], [np.nan]], 2)
    with pytest.raises(HierarchyError, match=r"shape \(5,\)"):
        grouping.kmeans(np.ones(5), 2)
    with pytest.raises(HierarchyError, match="4 embeddings for 200 classes"):
        build.from_embeddings("bad", classes("tiny-imagenet"), np.eye(4), (2,))


def test_figures_by_hand():
    """Three classes a, b | c: one pair inside (0.8), two between (0.2 and 0.4)."""
    wup = np.array([[1, 0.8, 0.2], [0.8, 1, 0.4], [0.2, 0.4, 1]])
    found = measures.measure(np.array([0, 0, 1]), wup)
    assert (found.K, found.intra, found.inter, found.gap) == (2, 0.8, pytest.approx(0.3), pytest.approx(0.5))
    assert found.largest == pytest.approx(2 / 3)
    assert found.entropy == pytest.approx(0.918296, abs=1e-6)  # of (2/3, 1/3), in bits
    assert found.silhouette is None
    assert not found.intervals


def test_figures_at_the_ends():
    wup = np.full((4, 4), 0.5) + np.eye(4) / 2
    alone, together = (measures.measure(ids, wup, np.eye(4)) for ids in (np.arange(4), np.zeros(4, int)))
    assert np.isnan(alone.intra)
    assert (alone.inter, alone.entropy, alone.silhouette) == (0.5, pytest.approx(1), None)
    assert (together.intra, together.largest, together.entropy, together.silhouette) == (0.5, 1, 0, None)
    assert alone.as_dict()["intra"] is None
    with pytest.raises(HierarchyError, match="same classes"):
        measures.measure(np.arange(3), wup)


def test_silhouette_is_scikit_learns_and_intervals_hold_the_estimate(clouds):
    points, family, _ = clouds
    wup = np.clip(grouping.unit(points) @ grouping.unit(points).T, 0, 1)
    found = measures.measure(family, wup, points, bootstrap=100, seed=1)
    assert found.silhouette == pytest.approx(silhouette_score(points, family, metric="cosine"))
    assert set(found.intervals) == {"intra", "inter", "gap", "entropy", "largest", "silhouette"}
    for name, (low, high) in found.intervals.items():
        assert low <= getattr(found, name) + 1e-12
        assert getattr(found, name) - 1e-12 <= high
    assert found.intervals["entropy"][1] <= 1
    assert found.intervals["largest"][0] >= 1 / 3
    assert measures.measure(family, wup, points, bootstrap=100, seed=1) == found


def test_bootstrap_width_is_that_of_a_mean():
    """Sizes of two groups are binomial over classes: the share of the larger has a known standard error."""
    N = 400
    groups = (np.arange(N) < 100).astype(int)
    found = measures.measure(groups, np.eye(N), bootstrap=600, seed=0)
    low, high = found.intervals["largest"]
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(0.75 * 0.25 / N), rel=0.1)


def test_confusion_by_hand():
    listed = classes("tiny-imagenet")
    tree = build.from_groups("two", listed, np.arange(200) // 100, ["half"])
    found = measures.confusion(tree, 0, np.array([0, 0, 0, 150]), np.array([0, 1, 100, 199]))
    assert found.counts.tolist() == [[2, 1], [0, 1]]
    assert found.accuracy == 0.75
    assert found.forgiven == pytest.approx(2 / 3)
    assert found.chance == pytest.approx(99 / 199)
    assert np.isnan(measures.confusion(tree, 0, np.array([3]), np.array([3])).forgiven)
    with pytest.raises(HierarchyError, match="one answer per picture"):
        measures.confusion(tree, 0, np.array([1, 2]), np.array([1]))


def test_names_are_the_synsets_that_fit():
    listed = classes("imagenet")
    row = {name: k for k, name in enumerate(listed.names)}
    dogs = [row[n] for n in ("Beagle", "Golden Retriever", "Chihuahua", "pug")]
    birds = [row[n] for n in ("ostrich", "flamingo", "American robin")]
    wnids = [listed.wnids[k] for k in (*dogs, *birds, row["bookstore"])]
    names = [listed.names[k] for k in (*dogs, *birds, row["bookstore"])]
    found = naming.group_names(wnids, names, np.array([0] * 4 + [1] * 3 + [2]))
    assert found == ("dog", "bird", "bookstore")


def grouped(*members):
    """(wnids, names, groups) of ImageNet classes given by name, group by group."""
    listed = classes("imagenet")
    row = {name: k for k, name in enumerate(listed.names)}
    rows = [row[name] for names in members for name in names.split(", ")]
    groups = np.repeat(np.arange(len(members)), [len(names.split(", ")) for names in members])
    return [listed.wnids[k] for k in rows], [listed.names[k] for k in rows], groups


def test_one_word_means_all_synsets_of_that_word():
    """food.n.01 holds bagel and espresso, food.n.02 lemon and cucumber: what is above both is matter, says nothing."""
    mixed = grouped("bagel, pizza, espresso, lemon, cucumber", "school bus, limousine")
    assert naming.group_names(*mixed)[0] == "food"


def test_two_words_where_one_does_not_fit():
    mixed = grouped("Beagle, pug, collie, ambulance, minivan, limousine", "tench, goldfish, school bus, tiger, lemon")
    assert naming.group_names(*mixed)[0] == "dog or car"


def test_groups_of_one_kind_are_told_apart():
    pair = grouped("Beagle, Bloodhound, Whippet, Saluki", "Boxer, Rottweiler, collie, Komondor")
    assert naming.group_names(*pair) == ("hound", "working dog")
    tree, net = load("imagenet-clip"), shipped_wordnet()
    assert {"dog: terrier", "dog: working dog or hound"} <= set(tree.group_names[0])
    terrier = next(wnid for wnid, synset in net.synsets.items() if synset.name == "terrier.n.01")
    shares = {
        title: np.mean([terrier in net.distances(tree.wnids[row]) for row in tree.members(0, group)])
        for group, title in enumerate(tree.group_names[0])
    }
    assert shares["dog: terrier"] == max(shares.values()) > 4 * shares["dog: working dog or hound"]


def test_small_groups_that_share_no_word_are_called_by_their_members():
    odd = grouped("tarantula, spider web", "gas mask or respirator", "great grey owl, school bus, lemon")
    names = naming.group_names(*odd)
    assert names == ("tarantula or spider web", "gas mask or respirator", "great grey owl, school bus or lemon")


def test_plain_words_stand_for_synsets_that_there_are():
    known = {synset.name for synset in shipped_wordnet().synsets.values()}
    assert set(naming._plain()) <= known
    assert naming._plain()["whole.n.02"] == ""


@pytest.mark.parametrize("prefix", ["imagenet", "tiny"])
def test_shipped_names_say_what_most_members_are(prefix):
    """By WordNet itself, without the code that chose them: a group comes under its words; none of them is jargon."""
    net, shares = shipped_wordnet(), []
    for tree in (load(name) for name in shipped_names() if name.startswith(f"{prefix}-clip")):
        for group, title in enumerate(tree.group_names[0]):
            assert not re.search(r"\b(matter|whole|artifact|instrumentality|covering|conveyance|placental)\b", title)
            assert len(title) <= 55
            said, members = set(re.split(", | or |: ", title)), tree.members(0, group)
            above = [[net.synset(a) for a in net.distances(tree.wnids[row])] for row in members]
            words = [{naming._plain().get(s.name, s.lemmas[0].replace("_", " ")) for s in synsets} for synsets in above]
            words = [{part for word in labels for part in re.split(", | or ", word)} for labels in words]
            shares.append(np.mean([bool(said & w) or tree.names[r] in said for w, r in zip(words, members)]))
    assert min(shares) > 1 / 3
    assert np.mean(np.array(shares) >= 0.5) > 0.8


def test_names_are_unique_even_for_groups_that_mean_nothing():
    listed = classes("tiny-imagenet")
    random = np.random.default_rng(0).permutation(200) % 40
    found = naming.group_names(listed.wnids, listed.names, random)
    assert len(set(found)) == 40
    assert any(": " in name or " or " in name for name in found)  # where no word fits, members are named
    with pytest.raises(HierarchyError, match="group 1 of 3 is empty"):
        naming.group_names(listed.wnids[:2], listed.names[:2], np.array([0, 2]))


def test_class_names_that_occur_twice_are_told_apart():
    wnids = ("n03773504", "n04008634", "n02084071")
    with pytest.raises(HierarchyError, match="n99999999"):
        naming.unique_class_names(("n03773504", "n99999999"), ("missile", "missile"))
    assert naming.unique_class_names(wnids, ("missile", "missile", "dog")) == (
        "missile (n03773504)",
        "missile (projectile)",
        "dog",
    )


def test_class_lists_are_checked(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("wnid,name\nn1,a\nn1,b\n")
    with pytest.raises(HierarchyError, match="row 3: class n1 is in row 2 already"):
        classes(path)
    path.write_text("wnid,name\nn1,\n")
    with pytest.raises(HierarchyError, match=r"row 2: .*blank"):
        classes(path)
    path.write_text("id,name\nn1,a\n")
    with pytest.raises(HierarchyError, match=r"row 1: .*expected wnid,name"):
        classes(path)
    path.write_text("wnid,name\nn1,a\nn2,b\n")
    assert classes(path) == ClassList(("n1", "n2"), ("a", "b"), ("a", "b"))
    with pytest.raises(HierarchyError, match="imagenet or tiny-imagenet"):
        classes("cifar")


def test_k_means_is_quiet(clouds):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grouping.kmeans(clouds[0], 3)


def test_a_plain_class_list_gets_levels():
    tree = build.read_own("wnid,name\nn02088364,beagle\nn02123045,tabby\nn04146614,bus\n", "mine", "here")
    assert tree.names == ("beagle", "tabby", "bus")
    assert tree.K[-1] == 3
    assert tree.nested
    whole = build.propose("all", classes("tiny-imagenet"))
    assert len(whole.levels) == 3
    assert whole.nested
    own = build.read_own(
        "\ufeffwnid,name\nn02084071,dog\nn02121808,cat\nn04146614,bus\nn02118333,fox\n", "mine", "here"
    )
    assert own.K[-1] == 4  # dog, cat and fox are no ImageNet classes, but lie above some: WordNet groups them
    assert own.groups[0][0] == own.groups[0][1] != own.groups[0][2]
    assert (own.K, own.nested) == ((2, 3, 4), True)
    few = build.read_own("wnid,name\nn01443537,fish\nn02123045,tabby\nn02124075,mau\n", "mine", "here")
    assert few.groups.tolist() == [[0, 1, 1], [0, 1, 2]]  # all apart in CLIP's coarse groups: WordNet helps
    assert build.read_own("wnid,name\nn01443537,fish\n", "mine", "here").K == (1,)
    with pytest.raises(HierarchyError, match="'n1' is no WordNet id"):
        build.read_own("wnid,name\nn1,dog\nn2,cat\n", "mine", "here")


def test_own_trees_are_opened_by_name_or_path(tmp_path):
    assert build.open_own("tiny-clip").K == (10, 50, 200)
    path = tmp_path / "mine.csv"
    path.write_text("wnid,name\nn02088364,beagle\nn02088364,beagle\n")
    with pytest.raises(HierarchyError, match=r"mine\.csv, row 3: class n02088364 is in row 2 already"):
        build.open_own(path)
    with pytest.raises(HierarchyError, match="cannot be read"):
        build.open_own(tmp_path / "missing.csv")
