"""The ledger's verdicts follow from its numbers, and its numbers from what ships."""

import csv
import io
import json
import math

import pytest
from evaluation_toys import ByColour, FourBytes, hierarchy, pictures

from hierlib.errors import DataError, HierlibError
from hierlib.evaluation import Results, evaluate
from hierlib.evaluation import ledger as book
from hierlib.evaluation.findings import FINDINGS, Found, NotMeasured, Shelf, find
from hierlib.evaluation.ledger import INCOMPARABLE, KINDS, NOT, NOT_RUN, REPRODUCED, claims, verdict


@pytest.fixture(scope="module")
def shipped():
    return book.from_shipped()


@pytest.mark.parametrize(
    ("kind", "paper", "tolerance", "found", "expected"),
    [
        ("value", "0.270", 0.0005, Found(0.2704), REPRODUCED),
        ("value", "0.270", 0.0005, Found(0.267), NOT),
        ("value", "0.270", 0.003, Found(0.267), REPRODUCED),
        ("seeds", "0.583", 0, Found(0.579, 0.561, 0.610), REPRODUCED),
        ("seeds", "0.620", 0.005, Found(0.579, 0.561, 0.610), NOT),
        ("order", "above", 0, Found(0.1, 0.01, 0.2), REPRODUCED),
        ("order", "above", 0, Found(0.1, -0.01, 0.2), NOT),
        ("order", "above", 0, Found(-0.1, -0.2, -0.01), NOT),
        ("order", "above", 0, Found(0.1), REPRODUCED),
        ("text", "animal", 0, Found(math.nan, text="whole"), NOT),
        ("text", "animal", 0, Found(math.nan, text="animal"), REPRODUCED),
        ("elsewhere", "59.25", 0, Found(59.25), INCOMPARABLE),
        ("order elsewhere", "above", 0, Found(0.1, 0.05, 0.2), INCOMPARABLE),
        ("order", "above", 0, None, NOT_RUN),
        ("", "above", 0, None, NOT_RUN),
    ],
)
def test_a_verdict_follows_from_the_numbers(kind, paper, tolerance, found, expected):
    assert verdict(kind, paper, tolerance, found) == expected


def test_the_claims_are_whole():
    listed = claims()
    assert len({claim.id for claim in listed}) == len(listed)
    for claim in listed:
        assert claim.kind in KINDS
        assert bool(claim.measure) == bool(claim.kind)
        if claim.measure:
            assert claim.measure.split()[0] in FINDINGS
        else:
            assert claim.command, f"{claim.id} is not run: which command would?"
        if claim.kind in ("value", "seeds"):
            assert float(claim.paper) == float(claim.paper)
            assert claim.tolerance > 0
        if claim.kind.endswith("elsewhere"):
            assert claim.command
    told = " ".join(claim.paper for claim in listed)
    for number in ("0.472", "0.270", "0.202", "0.583", "0.426", "0.157", "0.320", "0.769", "0.880", "-1.401", "59.25"):
        assert number in told
    assert {f"Fig. {n}" for n in ("2", "4(a)", "4(b)", "4(c)", "5(a)", "5(b)", "5(c)", "6")} <= {
        c.where for c in listed
    }


def test_what_ships_gives_what_the_tables_of_the_paper_say(shipped):
    rows = {row.claim.id: row for row in shipped}
    assert rows["table1-wordnet-intra"].verdict == REPRODUCED
    assert rows["table1-wordnet-inter"].verdict == NOT  # 0.267, not 0.270
    assert rows["table1-clip-intra"].found.n == 20
    assert rows["fig6-kite"].found.value == pytest.approx(22 / 25)  # LCA at depth 11 with the root as 1; 12 + 13
    assert rows["fig2-animal"].ours == "whole"
    assert rows["fig4-coarse-peers"].verdict == NOT_RUN
    for row in shipped:
        assert row.verdict == verdict(row.claim.kind, row.claim.paper, row.claim.tolerance, row.found)


def test_the_shipped_ledger_and_the_readme_are_current(shipped, root):
    text = io.StringIO()
    book.frame(shipped).to_csv(text, index=False, lineterminator="\n")
    assert (root / "data" / "ledger" / "ledger.csv").read_text() == text.getvalue(), "run make ledger"
    readme = (root / "README.md").read_text()
    assert book.PUBLISHED.within(readme, book.markdown(shipped)) == readme, "run make ledger"
    with pytest.raises(DataError, match="no place"):
        book.PUBLISHED.within("# no marks", "table")


class Floor(FourBytes):
    """Never learns green; goes by the floor's name."""

    name = "jpeg2000"

    def decode(self, prefix):
        return super().decode(prefix[:3])


def measured(codec, name):
    results = evaluate(codec, pictures([0, 1, 2, 3]), hierarchy(), [ByColour()], (3, 4, 8), progress=False)
    about = {**results.meta["codec"], "name": name, "colour_transform": True}
    return Results(results.rows, {**results.meta, "codec": about})


def test_a_gain_by_hand():
    shelf = Shelf([measured(FourBytes(), "ours"), measured(Floor(), "jpeg2000")], codec="ours")
    # right_thing of dog and bus: 0 at 3 bytes, 1 from 4 on; over log-bytes 3 to 8 a ramp and a plateau
    ramp, plateau = math.log(4 / 3), math.log(8 / 4)
    found = find("gain right_thing toys by_colour 3 8".replace("by_colour", "by-colour"), _renamed(shelf))
    assert found.value == pytest.approx(0.5 * (ramp / 2 + plateau) / (ramp + plateau))
    assert found.low <= found.value <= found.high
    assert found.n == 4
    assert find("gain right_thing toys by-colour 8 8", _renamed(shelf)).value == 0.5
    assert find("gain right_kind toys by-colour 3 8", _renamed(shelf)).value == 0
    assert find("whole right_thing toys by-colour", _renamed(shelf)).value == 1
    assert find("whole_percent right_thing toys by-colour", _renamed(shelf)).value == 100
    with pytest.raises(NotMeasured, match="no results of ours on shapes"):
        find("gain right_thing shapes by-colour 3 8", _renamed(shelf))
    with pytest.raises(NotMeasured, match="share no budget"):
        find("gain right_thing toys by-colour 5 7", _renamed(shelf))
    shelf.results[1].meta["codec"]["colour_transform"] = False
    with pytest.raises(NotMeasured, match="without its colour transform"):
        find("gain right_thing toys by-colour 3 8", _renamed(shelf))
    with pytest.raises(HierlibError, match="similarity"):
        find("miracle", shelf)


def test_what_one_measured_codec_saves_against_another_by_hand():
    def dear(results, factor):
        quality = 20 + results.rows["budget_bytes"] + 0.1 * results.rows["picture"]
        return Results(results.rows.assign(bytes=factor * results.rows["budget_bytes"], psnr_db=quality), results.meta)

    shelf = Shelf([dear(measured(Floor(), "cheap"), 0.9), dear(measured(Floor(), "dear"), 1.0)])
    found = find("peer_rate cheap dear toys psnr_db by-colour", _renamed(shelf))
    assert (found.value, found.low, found.high) == pytest.approx((-10, -10, -10))
    assert find("peer_saving cheap dear toys psnr_db by-colour", _renamed(shelf)).value == pytest.approx(10)
    with pytest.raises(NotMeasured, match="no results of none"):
        find("peer_rate none dear toys psnr_db by-colour", _renamed(shelf))
    shelf.results[1].meta["pictures"] = {**shelf.results[1].meta["pictures"], "digest": "other"}
    with pytest.raises(NotMeasured, match="different pictures"):
        find("peer_rate cheap dear toys psnr_db by-colour", _renamed(shelf))


def _renamed(shelf):
    """Findings name classifiers without blanks."""
    renamed = [Results(r.rows.assign(classifier="by-colour"), r.meta) for r in shelf.results]
    return Shelf(renamed, shelf.ablations, shelf.codec)


def test_ablations_by_hand(tmp_path):
    def arm(name, factor, lift, seed=0):
        folder = tmp_path / f"{name}-{seed}"
        folder.mkdir()
        rows = [{"bytes": factor * 2**k, "psnr_db": 20.0 + k, "right_fine": 0.1 * k + lift} for k in range(5)]
        content = {"arm": name, "seed": seed, "steps": 1, "pictures": "4 of toys", "rows": rows}
        (folder / "curve.json").write_text(json.dumps(content))

    shelf = Shelf([], tmp_path)
    with pytest.raises(NotMeasured, match="no-delta"):
        find("bd_rate base no-delta psnr_db", shelf)
    arm("base", 90, 0.05)
    arm("no-delta", 100, 0.03)
    assert find("bd_rate base no-delta psnr_db", shelf).value == pytest.approx(-10)
    assert find("saving base no-delta psnr_db", shelf).value == pytest.approx(10)
    assert find("best_split right_fine base no-delta", shelf).value == pytest.approx(0.02)
    assert find("best_split right_fine no-delta base", shelf).value == pytest.approx(-0.02)
    arm("base", 80, 0.05, seed=3)
    assert find("bd_rate base no-delta psnr_db", shelf).n == 1  # the other arm has no such seed
    arm("no-delta", 100, 0.04, seed=3)
    found = find("saving base no-delta psnr_db", shelf)
    assert (found.value, found.low, found.high, found.n) == pytest.approx((15, 10, 20, 2))
    found = find("best_split right_fine base no-delta", shelf)
    assert (found.low, found.high) == pytest.approx((0.01, 0.02))
    arm("late", 100, 0.04, seed=5)
    with pytest.raises(NotMeasured, match="no seed"):
        find("saving base late psnr_db", shelf)


def test_a_ledger_of_nothing_has_nothing_run_beyond_the_hierarchies(tmp_path):
    rows = book.ledger([])
    missing = [row for row in rows if row.claim.measure.startswith(("gain", "whole", "bd_rate"))]
    assert missing
    assert {row.verdict for row in missing} == {NOT_RUN}
    assert all("no results" in row.missing or "no curve" in row.missing for row in missing)
    bad = tmp_path / "claims.csv"
    bad.write_text("id,claim\n1,2\n")
    with pytest.raises(DataError, match="columns"):
        claims(bad)
    with (tmp_path / "more.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(book.FIELDS)
        writer.writerow(["a", "b", "c", "value", "1", "much", "d", "", ""])
    with pytest.raises(DataError, match="mend that row"):
        claims(tmp_path / "more.csv")
