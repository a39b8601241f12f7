"""The shipped tables hold what the paper and the README say of them, and can be made again."""

import json
from pathlib import Path

import numpy as np
import pytest

from hierlib import hierarchy as trees
from hierlib.errors import HierarchyError
from hierlib.files import shipped
from hierlib.hierarchy import laboratory, make, measures, wordnet
from hierlib.hierarchy.classes import classes

SHAPES = {"": (10, 100, 1000), "-nested": (10, 100, 1000), "-balanced": (10, 100, 1000), "-ward": (10, 100, 1000)}


@pytest.fixture(scope="module")
def wup():
    return wordnet.wup_matrix(classes("imagenet").wnids)


@pytest.mark.parametrize("name", trees.shipped_names())
def test_every_table_is_valid_and_written_as_it_would_be_saved(name):
    tree = trees.load(name)
    assert tree.to_csv() == shipped("hierarchies", f"{name}.csv").read_text(encoding="utf-8")
    if name.startswith(("imagenet", "tiny")):
        listed = classes("imagenet" if name.startswith("imagenet") else "tiny-imagenet")
        assert (tree.wnids, tree.names) == (listed.wnids, listed.names)
        assert tree.groups[-1].tolist() == list(range(len(tree.wnids)))


def test_levels_of_the_shipped_tables():
    for suffix, K in SHAPES.items():
        assert trees.load(f"imagenet-clip{suffix}").K == K
        assert trees.load(f"tiny-clip{suffix}").K == (10, 50, 200)
    assert len(trees.load("imagenet-clip-five").levels) == len(trees.load("tiny-clip-five").levels) == 5
    assert trees.load("imagenet-wordnet").K[0] == 10
    for name in ("nested", "balanced", "ward", "five"):
        assert trees.load(f"imagenet-clip-{name}").nested
        assert trees.load(f"tiny-clip-{name}").nested
    assert set(trees.load("imagenet-clip-balanced").sizes(0)) == {100}
    assert set(trees.load("imagenet-clip-balanced").sizes(1)) == {10}


def test_table_1(wup):
    clip, cut = trees.load("imagenet-clip"), trees.load("imagenet-wordnet")
    ten, hundred = (measures.measure(clip.groups[level], wup) for level in (0, 1))
    assert 0.561 <= ten.intra <= 0.610
    assert ten.inter == pytest.approx(0.426, abs=0.005)
    assert hundred.intra == pytest.approx(0.641, abs=0.02)
    three = measures.measure(cut.groups[0], wup)
    assert (round(three.intra, 3), round(three.inter, 3), three.largest) == (0.472, 0.267, 0.931)


def test_twenty_seeds_of_table_1(wup):
    runs = laboratory.seeds("imagenet", 10, 20)
    assert (runs[0] == trees.load("imagenet-clip").groups[0]).all()
    intra = [figures["intra"] for figures in laboratory.figures(wup, runs)]
    assert np.mean(intra) == pytest.approx(0.579, abs=0.001)
    assert (round(min(intra), 3), round(max(intra), 3)) == (0.561, 0.610)
    table = laboratory.table1(wup, runs[:3], {3: trees.load("imagenet-wordnet").groups[0]})
    assert table["K"].tolist() == [10, 10, 10, 10]
    with pytest.raises(HierarchyError, match="21 seeds at K = 10 do not ship"):
        laboratory.seeds("imagenet", 10, 21)
    with pytest.raises(HierarchyError, match="1 seeds at K = 11"):
        laboratory.seeds("imagenet", 11, 1)


def test_measures_json_says_what_is_measured(wup):
    report = laboratory.shipped_measures()
    for name in ("imagenet-clip", "imagenet-clip-balanced", "imagenet-wordnet"):
        tree = trees.load(name)
        for level, found in measures.measure_levels(tree, wup).items():
            stated = report[name]["levels"][level]
            for figure, value in found.as_dict().items():
                if figure not in ("silhouette", "intervals"):
                    assert stated[figure] == value
    assert laboratory.measured(["imagenet-clip"])["K"].tolist() == [10, 100]
    with pytest.raises(HierarchyError, match="no figures of 'made_from'"):
        laboratory.measured(["made_from"])


def test_every_figure_of_every_table_ships_with_its_interval():
    report = laboratory.shipped_measures()
    tables = {name: how["levels"] for name, how in report.items() if isinstance(how, dict) and "levels" in how}
    assert set(tables) == set(trees.shipped_names()) - {"shapes"}
    for name, levels in tables.items():
        assert len(levels) == len(trees.load(name).levels) - 1
        for found in levels.values():
            assert set(found["intervals"]) == {"intra", "inter", "gap", "entropy", "largest", "silhouette"}
            assert all(low <= found[figure] <= high for figure, (low, high) in found["intervals"].items())


def test_the_ward_tree_gives_the_ward_table():
    from hierlib.hierarchy.grouping import cut

    for prefix, K in (("imagenet", (10, 100)), ("tiny", (10, 50))):
        tree, merges = trees.load(f"{prefix}-clip-ward"), laboratory.shipped_merges(prefix)
        assert all((cut(merges, k) == tree.groups[level]).all() for level, k in enumerate(K))


def test_the_map_has_a_finite_place_for_every_class():
    for prefix, N in (("imagenet", 1000), ("tiny", 200)):
        points = laboratory.shipped_map(prefix)
        assert points.shape == (N, 2)
        assert np.isfinite(points).all()


def test_mistakes_stay_in_clips_groups():
    truth, answers = laboratory.shipped_answers()
    assert len(truth) == 500
    found = measures.confusion(trees.load("imagenet-clip"), 0, truth, answers)
    assert found.forgiven > 4 * found.chance
    assert found.accuracy > (truth == answers).mean()


def test_examine_counts_the_bits_of_each_level():
    table = laboratory.examine(trees.load("shapes"))
    assert table["new_bits"].sum() == pytest.approx(np.log2(len(trees.load("shapes").wnids)))
    balanced = laboratory.examine(trees.load("imagenet-clip-balanced"))
    assert balanced["bits"].to_numpy() == pytest.approx(np.log2([10, 100, 1000]))
    assert balanced["new_bits"].to_numpy() == pytest.approx(np.log2([10, 10, 10]))


def test_depths_and_cuts_along_k(wup):
    depths = laboratory.depths(wup, classes("imagenet").wnids, 4)
    assert depths["K"].tolist()[2] == 10
    assert depths["gap"][3] > 0.25  # deeper than CLIP's 0.157 on the paper's own measure
    assert laboratory.along_K(wup, laboratory.shipped_merges(), (5, 50))["K"].tolist() == [5, 50]


def test_made_again_the_class_lists_are_the_same(tmp_path):
    pytest.importorskip("timm")
    wordnet_folder = Path("/usr/share/wordnet")
    if not wordnet_folder.is_dir():
        pytest.skip("needs Debian's wordnet-base")
    subset = tmp_path / "wnids.txt"
    subset.write_text("\n".join(classes("tiny-imagenet").wnids))
    arguments = [
        "classes",
        "--wordnet",
        str(wordnet_folder),
        "--subset",
        f"tiny-imagenet={subset}",
        "--out",
        str(tmp_path),
    ]
    assert make.main(arguments) == 0
    for name in ("imagenet", "tiny-imagenet", "wordnet"):
        assert (tmp_path / f"{name}.csv").read_bytes() == shipped("classes", f"{name}.csv").read_bytes()


def test_made_again_the_answers_are_the_same(data_root, tmp_path, monkeypatch, capsys):
    """Of the first eight pictures; all 500 take the same way and half a minute."""
    from hierlib.images import packs

    monkeypatch.setattr(packs, "open_pack", lambda name, whole=packs.open_pack: whole(name).subset(range(8)))
    assert make.main(["answers", "--out", str(tmp_path)]) == 0
    ours, shipped_lines = (
        folder.read_text().splitlines() for folder in (tmp_path / "answers.csv", shipped("classes", "answers.csv"))
    )
    assert ours == shipped_lines[:9]
    assert "8 pictures" in capsys.readouterr().out


def test_made_again_tables_are_the_same(data_root, tmp_path, monkeypatch, capsys):
    """The tables of the 200 classes; those of the 1000 take the same way and a minute."""
    monkeypatch.setattr(make, "LISTS", {"tiny-imagenet": make.LISTS["tiny-imagenet"]})
    monkeypatch.setattr(make, "BOOTSTRAP", 20)
    clip = data_root / "clip"
    given = ["--embeddings", f"{clip}/vitb16_a-photo-of-a.npy", "--second", f"{clip}/vitl14_ensemble80.npy"]
    assert make.main(["tables", *given, "--no-umap", "--out", str(tmp_path)]) == 0
    assert "tiny-clip: coarse K=10 intra 0.586" in capsys.readouterr().out
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.csv")}
    assert {str(path) for path in made} == {
        *(f"tiny-clip{suffix}.csv" for suffix in ("", "-nested", "-balanced", "-ward", "-five", "-second")),
        *("tiny-wordnet.csv", "tiny-clip/seeds.csv", "tiny-clip/merges.csv"),
    }
    for path in made:
        assert (tmp_path / path).read_bytes() == shipped("hierarchies", *path.parts).read_bytes()
    report = json.loads((tmp_path / "measures.json").read_text())
    assert report["made_from"]["second"].startswith("vitl14_ensemble80.npy (SHA-256 ")
    assert report["tiny-clip seeds"] == laboratory.shipped_measures()["tiny-clip seeds"]


def test_the_maker_refuses_in_a_sentence(tmp_path, capsys):
    np.save(tmp_path / "few.npy", np.ones((3, 4), np.float32))
    assert make.main(["tables", "--embeddings", str(tmp_path / "few.npy"), "--out", str(tmp_path / "out")]) == 2
    assert "expected floats (1000, D)" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert make.main(["classes", "--wordnet", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "holds no WordNet" in capsys.readouterr().err


def test_no_embeddings_ship():
    folder = shipped("hierarchies")
    assert not list(folder.rglob("*.npy"))
    assert json.loads((folder / "measures.json").read_text())["made_from"]["embeddings"].startswith("vitb16")


def test_trees_with_other_keys_are_examined_without_wordnet():
    assert laboratory.similarity(trees.load("shapes")) is None
    tiny = trees.load("tiny-clip")
    found = laboratory.examine(tiny, laboratory.similarity(tiny), bootstrap=20, seed=0)
    assert found["gap"][0] == pytest.approx(0.175, abs=0.001)
    low, high = map(float, found["gap 95 %"][0].split(" to "))
    assert low < found["gap"][0] < high


def test_made_again_without_embeddings_what_ships_follows_from_what_ships():
    again = laboratory.recomputed()
    assert len(set(again["hierarchy"])) == 14
    made = again.dropna()
    assert {name.partition("-")[2] for name in made["hierarchy"]} == {"clip", "clip-ward", "wordnet"}
    assert (made["agreement"] == 1).all()
    assert (again["off_by"] <= 1e-6).all()


def test_a_figure_that_was_changed_is_found_out(monkeypatch):
    report = laboratory.shipped_measures()
    report["tiny-clip"]["levels"]["coarse"]["inter"] += 0.01
    monkeypatch.setattr(laboratory, "shipped_measures", lambda: {"tiny-clip": report["tiny-clip"]})
    assert laboratory.recomputed()["off_by"].tolist() == pytest.approx([0.01, 0], abs=1e-6)


def test_made_again_from_the_embeddings_all_tables_of_the_200_classes_agree(data_root, monkeypatch):
    report = {name: how for name, how in laboratory.shipped_measures().items() if name.startswith("tiny-clip")}
    monkeypatch.setattr(laboratory, "shipped_measures", lambda: report)
    again = laboratory.recomputed(np.load(data_root / "clip" / "vitb16_a-photo-of-a.npy"))
    assert set(again.dropna()["hierarchy"]) == {f"tiny-clip{s}" for s in ("", "-nested", "-balanced", "-ward", "-five")}
    assert (again.dropna()["agreement"] == 1).all()


def test_seeds_of_one_model_agree_by_hand():
    assert laboratory.between(np.array([[0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1]])) == 1
    halves = np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    assert laboratory.between(halves) == measures.agreement(*halves)
    assert laboratory.between(halves[:1]) == 1
