"""The harness on a world worked by hand: cuts, verdicts, resuming, errors."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from evaluation_toys import WNIDS, ByColour, FourBytes, hierarchy, pictures

from hierlib.baselines.jpeg import ProgressiveJPEG
from hierlib.baselines.jpeg2000 import FreshJPEG2000, LayeredJPEG2000
from hierlib.errors import BudgetError, DataError, HierarchyError
from hierlib.evaluation import Results, evaluate
from hierlib.evaluation.classify import judges, verdicts
from hierlib.hierarchy.wordnet import wup_matrix
from hierlib.images.packs import from_arrays
from hierlib.images.pictures import demonstration, to_uint8

CLASSES = [0, 1, 2, 3, 3]  # cat, dog, car, bus, bus: the majority is vehicle (3 of 5), bus (2 of 5)


def measure(classes=CLASSES, budgets=(2, 3, 100), codec=None, classifier=None, **options):
    options = {"progress": False} | options
    return evaluate(
        codec or FourBytes(), pictures(classes), hierarchy(), [classifier or ByColour()], budgets, **options
    )


def test_table_is_the_one_worked_by_hand():
    results = measure()
    table = results.table().set_index("point")
    assert table.index.tolist() == ["2 B", "3 B", "100 B", "level 1", "whole file", "original"]
    assert table["n"].tolist() == [5] * 6
    assert table["n_decodable"].tolist() == [0, 5, 5, 5, 5, 5]
    # 2 bytes: the majority guess. 3: the kind is right, of the things cat and car. 4: everything.
    assert table["right_kind"].tolist() == pytest.approx([0.6, 1, 1, 1, 1, 1])
    assert table["right_thing"].tolist() == pytest.approx([0.4, 0.4, 1, 0.4, 1, 1])
    assert table["top1"].tolist() == pytest.approx([0.4, 0.4, 1, 0.4, 1, 1])
    assert table["right_kind_of_top1"].tolist() == pytest.approx([0.6, 1, 1, 1, 1, 1])
    # probability of the right kind: the shares 2/5, 2/5, 3/5, 3/5, 3/5 when guessing; 0.9 once red is known
    assert table["probability_kind"].tolist() == pytest.approx([13 / 25, *[0.9] * 5], abs=1e-6)
    assert table["bytes"].tolist() == [2, 3, 4, 3, 4, 0]
    assert table.loc["3 B", "bpp"] == pytest.approx(8 * 3 / 36)
    assert np.isnan(table.loc["original", ["bpp", "psnr_db"]].astype(float)).all()
    # 0.4, n = 5: standard error of 1, 0, 1, 0, 0
    assert table.loc["3 B", "right_thing_se"] == pytest.approx(np.std([1, 0, 1, 0, 0], ddof=1) / 5**0.5)
    assert results.majority == {"kind": 0.6, "thing": 0.4}
    # blue is 0.5 -> 128 at every point; red and green exact from 4 bytes on
    assert table.loc["whole file", "psnr_db"] == pytest.approx(10 * np.log10(255**2 / (128**2 / 3)))


def test_pictures_that_cannot_be_decoded_can_be_left_out():
    only = measure().table(decodable_only=True).set_index("point")
    assert "2 B" not in only.index
    assert only.loc["3 B", "n"] == 5


def test_files_are_really_cut_and_equal_cuts_decoded_once():
    codec = FourBytes(padding=6)
    results = measure([0, 3], (3, 5, 10, 4000), codec)
    assert codec._encoded == 2
    assert codec._asked == [3, 4, 5, 10] * 2
    assert results.meta["decodings"] == 8
    assert results.rows["file_bytes"].dropna().unique().tolist() == [10]
    assert results.rows["bytes_used"].max() == 4
    assert results.rows.groupby("point")["complete"].first().to_dict() == {
        "3 B": False,
        "5 B": False,
        "10 B": True,
        "4000 B": True,
        "level 1": False,
        "level 2": False,
        "whole file": True,
        "original": True,
    }
    assert "level" not in set(measure([0], (3,), FourBytes(), level_ends=False).rows["kind"])


def test_sum_of_members_and_group_of_the_likeliest_class_differ():
    log_p = torch.log(torch.tensor([[0.4, 0.0001, 0.3, 0.2999], [0.1, 0.2, 0.3, 0.4]]))
    matrix = np.array([[1, 0.8, 0.1, 0.2], [0.8, 1, 0.3, 0.4], [0.1, 0.3, 1, 0.9], [0.2, 0.4, 0.9, 1]])
    found = verdicts(log_p, np.array([0, 2]), hierarchy(), matrix)
    assert found["right_kind"].tolist() == [False, True]
    assert found["right_kind_of_top1"].tolist() == [True, True]
    assert found["probability_kind"] == pytest.approx([0.4001, 0.7], abs=1e-4)
    assert found["top1"].tolist() == [True, False]
    assert found["top1_wnid"].tolist() == ["cat", "bus"]
    assert found["wup"].tolist() == [1, 0.9]


def test_wup_comes_from_wordnet_and_is_skipped_elsewhere():
    dogs_and_cars = ("n02085620", "n02085782", "n02701002", "n02930766")
    classifier = ByColour()
    classifier.wnids = dogs_and_cars
    toys = pictures(CLASSES, dogs_and_cars)
    original = ByColour.__call__
    judge = type(
        "Renamed", (), {"name": "x", "wnids": dogs_and_cars, "__call__": lambda s, i: original(ByColour(), i)}
    )()
    results = evaluate(FourBytes(), toys, hierarchy(dogs_and_cars), [judge], [3], progress=False)
    at_three = results.of("x", "budget")
    matrix = wup_matrix(dogs_and_cars)
    # cat and dog are called cat, car and bus are called car
    assert at_three["wup"].tolist() == pytest.approx([1, matrix[0, 1], 1, matrix[2, 3], matrix[2, 3]])
    assert "wup" not in measure().rows
    assert "no WordNet" in measure().meta["wup"]
    assert (
        "wup" not in evaluate(FourBytes(), toys, hierarchy(dogs_and_cars), [judge], [3], wup=False, progress=False).rows
    )


def test_a_classifier_of_more_classes_is_restricted_in_the_hierarchys_order():
    wide = ByColour(("bus", "zebra", "dog", "cat", "car"))
    (judge,) = judges([wide], hierarchy())
    images = torch.stack([pictures(CLASSES)[i] for i in range(5)])
    assert torch.allclose(judge.logits(list(images), 2), ByColour()(images))
    both = evaluate(FourBytes(), pictures(CLASSES), hierarchy(), {"a": wide, "b": ByColour()}, [3], progress=False)
    a, b = (both.of(name).drop(columns="classifier").reset_index(drop=True) for name in "ab")
    pd.testing.assert_frame_equal(a, b)
    assert both.meta["classifiers"]["a"]["restricted"] is True
    assert both.classifiers == ("a", "b")


@pytest.mark.parametrize(("stop_at", "done"), [(3, 0), (8, 16), (19, 48)])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, stop_at, done):
    classes = [i % 4 for i in range(50)]
    whole = measure(classes, batch=8)
    path = tmp_path / "partial.jsonl"
    classifier, codec = ByColour(), FourBytes()
    classifier._stop_at = stop_at  # 6 batches a chunk of 16 pictures
    with pytest.raises(KeyboardInterrupt):
        measure(classes, classifier=classifier, batch=8, resume=path)
    before = path.read_bytes()
    path.write_bytes(before + b'{"pictures": 16, "rows": {"pic')  # as a kill in the middle of writing leaves it
    resumed = measure(classes, codec=codec, batch=8, resume=path)
    assert path.read_bytes().startswith(before)
    assert codec._encoded == 50 - done
    pd.testing.assert_frame_equal(resumed.rows, whole.rows)
    again = FourBytes()
    pd.testing.assert_frame_equal(measure(classes, codec=again, batch=8, resume=path).rows, whole.rows)
    assert again._encoded == 0


def test_resuming_another_evaluation_is_refused_and_nothing_lost(tmp_path):
    path = tmp_path / "partial.jsonl"
    measure(resume=path)
    kept = path.read_bytes()
    with pytest.raises(DataError, match="budgets"):
        measure(budgets=(2, 3), resume=path)
    with pytest.raises(DataError, match="codec"):
        measure(codec=FourBytes(padding=1), resume=path)
    assert path.read_bytes() == kept
    foreign = tmp_path / "notes.txt"
    foreign.write_text("my notes")
    with pytest.raises(DataError, match="resume"):
        measure(resume=foreign)
    foreign.write_text("my notes\n")
    with pytest.raises(DataError, match="resume"):
        measure(resume=foreign)
    assert foreign.read_text() == "my notes\n"
    with pytest.raises(DataError):
        measure(resume=tmp_path)


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_saved_results_come_back(tmp_path, suffix):
    results = measure()
    loaded = Results.load(results.save(tmp_path / f"toy{suffix}"))
    pd.testing.assert_frame_equal(loaded.rows, results.rows)
    assert loaded.meta == results.meta
    pd.testing.assert_frame_equal(loaded.table(), results.table())
    assert [p.name for p in tmp_path.iterdir()] == [f"toy{suffix}"]


def test_files_that_are_no_results(tmp_path):
    with pytest.raises(DataError, match="csv"):
        measure().save(tmp_path / "toy.csv")
    for name, content in (
        ("none.json", None),
        ("a.json", "{"),
        ("b.json", "[]"),
        ("c.json", '{"meta": {}, "rows": {}}'),
    ):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(DataError):
            Results.load(tmp_path / name)
    (tmp_path / "d.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError):
        Results.load(tmp_path / "d.parquet")


def test_meta_says_where_the_numbers_come_from():
    meta = measure().meta
    assert meta["codec"] == {"name": "four bytes", "class": "FourBytes", "padding": 0}
    assert meta["hierarchy"]["K"] == [2, 4]
    assert meta["pictures"]["n"] == 5
    assert meta["ms_ssim_scales"].startswith("1 of 5 at 6x6")
    assert set(meta["versions"]) >= {"hierlib", "torch", "pillow"}
    json.dumps(meta, allow_nan=False)


def test_weights_and_fingerprints_are_named():
    class Learned(FourBytes):
        def __init__(self, seed):
            super().__init__()
            torch.manual_seed(seed)
            self.network, self.fingerprint = torch.nn.Linear(3, 2), b"\x01\xff"

    one, same, other = (measure(codec=Learned(seed)).meta["codec"] for seed in (0, 0, 1))
    assert one == same
    assert one["fingerprint"] == "01ff"
    assert len(one["network_weights"]) == 16
    assert one["network_weights"] != other["network_weights"]


@pytest.mark.parametrize("budgets", [[0], [-1, 64], [64.5], [True]])
def test_budgets_that_cannot_be_met(budgets):
    with pytest.raises(BudgetError, match="at least 1"):
        measure(budgets=budgets)


def test_classes_that_do_not_fit():
    strangers = from_arrays(
        "strangers", ("cat", "yak"), ("cat", "yak"), np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1])
    )
    with pytest.raises(HierarchyError, match="yak"):
        evaluate(FourBytes(), strangers, hierarchy(), [ByColour()], [3], progress=False)
    with pytest.raises(HierarchyError, match="bus"):
        measure(classifier=ByColour(WNIDS[:3]))
    with pytest.raises(HierarchyError, match="at least one"):
        evaluate(FourBytes(), pictures(CLASSES), hierarchy(), [], [3], progress=False)
    with pytest.raises(HierarchyError, match="own name"):
        evaluate(FourBytes(), pictures(CLASSES), hierarchy(), [ByColour(), ByColour()], [3], progress=False)
    with pytest.raises(DataError, match="empty"):
        measure([])


def test_a_codec_that_counts_no_symbols_is_decodable_once_its_picture_is_not_flat():
    codec = ProgressiveJPEG(40)
    results = evaluate(codec, photographs(), hierarchy(), [ByColour()], (16, 100, 700), progress=False)
    table = results.table().set_index("point")
    assert table["n_decodable"].loc[["16 B", "100 B", "700 B", "whole file"]].tolist() == [0, 0, 3, 3]


def photographs(side=48):
    pixels = np.stack([to_uint8(image) for image in demonstration(side, ("astronaut", "chelsea", "coffee")).values()])
    return from_arrays("photographs", WNIDS, WNIDS, pixels, np.array([0, 1, 2]))


def test_jpeg2000_header_alone_is_not_decodable_and_the_ladder_changes_nothing():
    codec = LayeredJPEG2000(layers=5)
    budgets = (8, 64, 200, 400, 10_000)
    fast = evaluate(codec, photographs(), hierarchy(), [ByColour()], budgets, progress=False)

    class OneByOne:
        name, encode, decode, level_ends = codec.name, codec.encode, codec.decode, codec.level_ends

    slow = evaluate(OneByOne(), photographs(), hierarchy(), [ByColour()], budgets, progress=False)
    pd.testing.assert_frame_equal(fast.rows, slow.rows, rtol=1e-6)
    table = fast.table().set_index("point")
    assert table.loc[["8 B", "64 B"], "n_decodable"].tolist() == [0, 0]
    assert table.loc[["200 B", "400 B", "10000 B"], "n_decodable"].tolist() == [3, 3, 3]
    assert table.loc["8 B", "psnr_db"] == pytest.approx(
        table.loc["64 B", "psnr_db"]
    )  # grey, whether the size is known or not
    assert table["psnr_db"].iloc[1:5].is_monotonic_increasing


def test_a_fresh_file_is_made_for_each_budget():
    results = evaluate(FreshJPEG2000(), photographs(), hierarchy(), [ByColour()], (50, 300, 900), progress=False)
    rows = results.of(kind="budget")
    assert (rows["bytes"] <= rows["budget_bytes"]).all()
    assert (rows["bytes"] == rows["file_bytes"]).all()
    assert (rows["complete"] == (rows["budget_bytes"] > 50)).all()
    assert (rows.loc[rows["budget_bytes"] == 50, "bytes"] == 0).all()
