"""WordNet: Eq. 1 by hand and by NLTK, the depth cut of the paper, the same answer under any hash seed."""

import os
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hierlib.errors import HierarchyError
from hierlib.hierarchy import wordnet
from hierlib.hierarchy.classes import classes
from hierlib.hierarchy.wordnet import Synset, WordNet

DEBIAN = Path("/usr/share/wordnet")
needs_wordnet = pytest.mark.skipif(not (DEBIAN / "data.noun").is_file(), reason="needs Debian's wordnet-base")

TENCH, GOLDFISH, TABBY, SIAMESE, BUS = "n01440764", "n01443537", "n02123045", "n02123597", "n04146614"


@pytest.fixture(scope="module")
def net():
    return wordnet.shipped_wordnet()


@pytest.fixture(scope="module")
def imagenet():
    return classes("imagenet")


@pytest.fixture(scope="module")
def wup(imagenet):
    return wordnet.wup_matrix(imagenet.wnids)


def test_the_extract_is_the_closure_of_the_thousand_classes(net, imagenet):
    assert len(net) == 1860
    assert len(imagenet.wnids) == len(set(imagenet.wnids)) == len(set(imagenet.names)) == 1000
    assert list(imagenet.wnids) == sorted(imagenet.wnids)
    assert len(set(imagenet.prompts)) == 998  # missile, sunglasses
    depths = [net.max_depth(wnid) for wnid in imagenet.wnids]
    assert (min(depths), max(depths)) == (4, 18)
    assert np.mean(depths) == pytest.approx(11.09, abs=0.005)


@pytest.mark.parametrize(
    ("a", "b", "ancestor", "expected"),
    [
        # entity 1, physical entity, object, whole 4, living thing, organism, animal 7, chordate, vertebrate 9, aquatic
        # vertebrate, fish, bony fish, teleost, soft-finned fish, cypriniform fish, cyprinid 16, and both one below it
        (TENCH, GOLDFISH, "cyprinid.n.01", 2 * 16 / (17 + 17)),
        # vertebrate 9. Tench: 8 below. Tabby: domestic cat, domestic animal, animal and down again by chordate to
        # vertebrate are 5 edges, shorter than the 7 by cat, feline, carnivore, placental, mammal
        (TENCH, TABBY, "vertebrate.n.01", 2 * 9 / (9 + 8 + 9 + 5)),
        # domestic cat is nearer, but its shortest path to the root (by domestic animal) has 8 edges, that of cat 13,
        # and the greatest min_depth decides: cat 14, both 2 below it
        (TABBY, SIAMESE, "cat.n.01", 2 * 14 / (16 + 16)),
        # whole 4. Tench: 13 below. School bus: bus, public transport, conveyance, instrumentality, artifact, whole
        (TENCH, BUS, "whole.n.02", 2 * 4 / (4 + 13 + 4 + 6)),
    ],
)
def test_triples_worked_by_hand(net, a, b, ancestor, expected):
    assert net.synset(net.lca(a, b)).name == ancestor
    assert net.wup(a, b) == net.wup(b, a)
    assert net.wup(a, b) == pytest.approx(expected, abs=1e-12)


def test_the_matrix_is_symmetric_with_diagonal_one_and_agrees_with_pairs(wup, net, imagenet):
    assert wup.shape == (1000, 1000)
    assert (wup == wup.T).all()
    assert (wup.diagonal() == 1).all()
    assert 0 < wup.min() <= wup.max() <= 1
    assert wup[np.triu_indices(1000, 1)].mean() == pytest.approx(0.4447, abs=5e-5)
    for a, b in np.random.default_rng(0).integers(0, 1000, (500, 2)):
        assert wup[a, b] == net.wup(imagenet.wnids[a], imagenet.wnids[b])


def test_the_matrix_agrees_with_pairs_where_one_is_an_ancestor_of_the_other(net):
    wnids = list(net.distances(TABBY)) + list(net.distances(BUS))[:3]
    matrix = net.wup_matrix(wnids)
    assert (matrix == [[net.wup(a, b) for b in wnids] for a in wnids]).all()


def test_the_papers_depth_cut(wup, imagenet):
    from hierlib.hierarchy.grouping import depth_cut
    from hierlib.hierarchy.measures import measure

    three, four = (measure(ids, wup) for ids in depth_cut(imagenet.wnids, (3, 4)))
    assert three.K == 10
    assert three.largest == 0.931
    assert (round(three.intra, 3), round(three.inter, 3)) == (0.472, 0.267)
    assert 14 <= four.K <= 20  # one deeper, it beats CLIP on the paper's measure
    assert four.intra == pytest.approx(0.595, abs=0.001)
    assert 0.326 <= four.inter <= 0.331


def test_depth_cut_keeps_classes_above_the_cut(net):
    animal = net.depth_cut([TENCH, BUS], 6)[0]
    assert net.synset(animal).name == "animal.n.01"
    assert net.depth_cut([TENCH], 99) == [TENCH]
    with pytest.raises(HierarchyError, match="-1"):
        net.depth_cut([TENCH], -1)


@needs_wordnet
def test_debians_wordnet_gives_the_extract_byte_for_byte(net, imagenet):
    whole = wordnet.read(DEBIAN)
    assert len(whole) == 82115
    assert whole.closure(imagenet.wnids).to_csv() == net.to_csv()
    assert whole.wup("n02084071", "n02121620") == pytest.approx(6 / 7)  # NLTK's own example: dog and cat, 0.857


@pytest.fixture(scope="module")
def nltk_corpus(tmp_path_factory):
    """Debian's files as NLTK wants them: copied (it refuses links), with the two files that it insists on."""
    if not (DEBIAN / "data.noun").is_file():
        pytest.skip("needs Debian's wordnet-base")
    folder = tmp_path_factory.mktemp("nltk_data") / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    for file in DEBIAN.iterdir():
        shutil.copy(file, folder)
    (folder / "lexnames").write_text("".join(f"{number:02d}\tname{number}\t1\n" for number in range(45)))
    (folder / "index.sense").touch()
    return folder


def test_agrees_with_nltk(net, nltk_corpus, monkeypatch):
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    monkeypatch.setattr(nltk.data, "path", [str(nltk_corpus.parents[1])])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are no other languages
        reader = WordNetCorpusReader(str(nltk_corpus), None)
    theirs = {wnid: reader.synset_from_pos_and_offset("n", int(wnid[1:])) for wnid in net.synsets}
    for wnid, synset in theirs.items():
        assert synset.name() == net.synset(wnid).name
        assert (synset.max_depth(), synset.min_depth()) == (net.max_depth(wnid), net.min_depth(wnid))
    wnids = list(net.synsets)
    for a, b in np.random.default_rng(1).integers(0, len(wnids), (600, 2)):
        if a != b:
            assert net.wup(wnids[a], wnids[b]) == theirs[wnids[a]].wup_similarity(theirs[wnids[b]])
    # NLTK holds dog.n.01 to be unlike itself, because an ancestor lies deeper by min_depth. Eq. 1 makes that 1.
    assert theirs["n02084071"].wup_similarity(theirs["n02084071"]) < 1 == net.wup("n02084071", "n02084071")


@needs_wordnet
def test_reads_nltks_folder_its_zip_and_what_is_installed(net, tmp_path, monkeypatch):
    import nltk.data

    above = net.distances(TENCH)
    lemmas = {net.synset(wnid).lemmas[0].lower() for wnid in above}
    data = [line for line in (DEBIAN / "data.noun").read_text().splitlines() if f"n{line[:8]}" in above]
    index = [line for line in (DEBIAN / "index.noun").read_text().splitlines() if line.split(" ")[0] in lemmas]
    for folder in ("folder/corpora/wordnet", "zipped/corpora"):
        (tmp_path / folder).mkdir(parents=True)
    for name, lines in (("data.noun", data), ("index.noun", index)):
        (tmp_path / "folder/corpora/wordnet" / name).write_text("  1 a line of the licence\n" + "\n".join(lines))
        with zipfile.ZipFile(tmp_path / "zipped/corpora/wordnet.zip", "a") as archive:
            archive.write(tmp_path / "folder/corpora/wordnet" / name, f"wordnet/{name}")
    expected = net.closure([TENCH]).synsets
    for root in ("folder", "zipped"):
        monkeypatch.setattr(nltk.data, "path", [str(tmp_path / root)])
        found = wordnet.read()
        assert found.source == str(tmp_path / root)
        assert found.closure([TENCH]).synsets == expected
    assert wordnet.read(tmp_path / "zipped/corpora/wordnet.zip").closure([TENCH]).synsets == expected


def test_nothing_depends_on_the_hash_seed():
    script = (
        "import hashlib; from hierlib.hierarchy import wordnet, grouping, naming, classes\n"
        "c = classes.classes('tiny-imagenet'); g = grouping.depth_cut(c.wnids, (3, 5))\n"
        "n = naming.group_names(c.wnids, c.names, g[1])\n"
        "print(hashlib.sha256(wordnet.wup_matrix(c.wnids).tobytes() + g.tobytes() + repr(n).encode()).hexdigest())"
    )
    root = Path(wordnet.__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2024")
    }
    assert len(outputs) == 1


def test_an_unknown_id_says_what_to_do(net):
    with pytest.raises(HierarchyError, match=r"'n99999999' is no WordNet id known to .*wordnet\.csv"):
        wordnet.wup_matrix([TENCH, "n99999999"])
    with pytest.raises(HierarchyError, match="'tench'"):
        net.wup("tench", GOLDFISH)


def test_wrong_wordnets_are_refused(tmp_path):
    with pytest.raises(HierarchyError, match="holds no WordNet"):
        wordnet.read(tmp_path)
    with pytest.raises(HierarchyError, match="cannot be read"):
        wordnet.read(tmp_path / "missing.csv")
    path = tmp_path / "mine.csv"
    header = "wnid,synset,lemmas,hypernyms\n"
    path.write_text("wnid,name\nn1,a\n")
    with pytest.raises(HierarchyError, match="row 1"):
        wordnet.read(path)
    path.write_text(header + "n1,a.n.01,a,\nn1,a.n.01,a,\n")
    with pytest.raises(HierarchyError, match="row 3: 'n1'"):
        wordnet.read(path)
    path.write_text(header + "n1,a.n.01,a,n2\n")
    with pytest.raises(HierarchyError, match=r"a\.n\.01 is a kind of n2, which is missing"):
        wordnet.read(path)


def test_circles_and_strangers_are_refused():
    circle = WordNet([Synset("n1", "a.n.01", ("a",), ("n2",)), Synset("n2", "b.n.01", ("b",), ("n1",))])
    with pytest.raises(HierarchyError, match="lead back to it"):
        circle.max_depth("n1")
    strangers = WordNet([Synset("n1", "a.n.01", ("a",), ()), Synset("n2", "b.n.01", ("b",), ())])
    for compare in (lambda: strangers.wup("n1", "n2"), lambda: strangers.wup_matrix(["n1", "n2"])):
        with pytest.raises(HierarchyError, match=r"a\.n\.01 and b\.n\.01 share no ancestor"):
            compare()
