import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest
import torch
from PIL import Image
from views_toys import ByColour, Pyramid, hierarchy, picture

from hierlib.errors import DataError
from hierlib.views.ladder import climb, save_ladders
from hierlib.views.report import write_report
from hierlib.views.results import write_results
from hierlib.views.sheet import save, sheet, style
from hierlib.views.strips import byte_budget, filmstrip, gallery


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder as notebooks leave it."""
    folder = tmp_path_factory.mktemp("run")
    ladder = climb(Pyramid(), picture("red"), hierarchy(), ByColour(), picture="</script> & co", wnid="red", rungs=12)
    save_ladders(folder, "red", [ladder])
    save_ladders(folder, "duel", [ladder, ladder])
    save(byte_budget({"header": 2, "rest": 4095}), folder, "03_bytes", 'Where the bytes "went" & why.')
    save(filmstrip(ladder, 4), folder, "03_filmstrip", "One stream, four cuts.")
    heavy = {str(i): torch.rand(3, 900, 900) for i in range(2)}  # noise does not compress: too heavy as SVG
    save(gallery(heavy), folder, "03_heavy", "Noise.")
    write_results(
        folder,
        "03_decode",
        parameters={"rungs": 12},
        checks={"the last is best": True},
        cuts=ladder.table(),
        size_bytes=4097,
    )
    write_results(folder, "04_compare", parameters={}, checks={}, nothing=float("nan"))
    return folder


@pytest.fixture(scope="module")
def page(run):
    return write_report(run).read_text()


class Reader(HTMLParser):
    """Collects elements with their attributes, and checks that they close."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "img", "br", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_nobody_for_anything(page):
    assert "http:" not in page
    assert "https:" not in page
    assert "//cdn" not in page
    reader = Reader(page)
    assert not reader.open
    for tag, attributes in reader.found:
        for name in ("src", "href"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#")), (tag, attributes[name][:60])


def test_every_frame_of_every_ladder_is_in_the_page(run, page):
    for path in run.glob("ladders/*.json"):
        for ladder in json.loads(path.read_text())["ladders"]:
            assert len(ladder["rungs"]) >= 12
            assert all(rung["frame"] in page for rung in ladder["rungs"])
    data = dict(re.findall(r'<script type="application/json" data-for="([^"]*)">(.*?)</script>', page, flags=re.S))
    assert set(data) == {"coarse-to-fine", "same-bytes"}
    assert len(json.loads(data["same-bytes"])["pictures"][0]["ladders"]) == 2
    assert json.loads(data["coarse-to-fine"])["pictures"][0]["ladders"][0]["picture"] == "</script> & co"


def test_figures_have_alternative_texts_and_follow_the_page_into_the_dark(page):
    drawn = [attributes for tag, attributes in Reader(page).found if tag in ("img", "svg")]
    assert len(drawn) == 3
    assert sum(tag == "img" for tag, _ in Reader(page).found) == 1  # the heavy one
    assert all(attributes.get("alt") or attributes.get("aria-label") for attributes in drawn)
    bars, strip = re.findall(r'<svg role="img".*?</svg>', page, flags=re.S)
    assert "var(--ink)" in bars
    assert "#1d2430" not in bars
    assert strip.count("data:image/webp") == 4
    assert "Where the bytes &quot;went&quot; &amp; why." in page


def test_ids_of_inlined_figures_do_not_collide_and_their_references_resolve(page):
    svg = re.search(r'<svg role="img".*?</svg>', page, flags=re.S)[0]
    identities = set(re.findall(r'\bid="([^"]+)"', svg))
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg))
    assert {a or b for a, b in used} <= identities
    assert all(identity.startswith("03_bytes-") for identity in identities)


def test_numbers_checks_and_parameters_are_shown(page):
    assert "the last is best" in page
    assert "<summary>" in page
    assert ">4,097<" in page
    assert ">–<" in page  # the NaN


def test_results_are_json_in_the_strict_sense(run):
    found = json.loads((run / "04_compare.results.json").read_text(), parse_constant=lambda c: pytest.fail(c))
    assert found["nothing"] is None
    assert set(found["made_with"]) >= {"hierlib", "python", "torch", "machine"}
    rows = json.loads((run / "03_decode.results.json").read_text())["cuts"]
    assert rows[0]["bytes"] == 0


def test_saved_figures_carry_their_caption_and_are_the_same_twice(run, tmp_path):
    with Image.open(run / "figures" / "03_filmstrip.png") as opened:
        assert opened.info["Description"] == "One stream, four cuts."
    ElementTree.parse(run / "figures" / "03_bytes.svg")
    for name in ("a", "b"):
        save(byte_budget({"header": 2, "rest": 4095}), tmp_path / name, "03_bytes", 'Where the bytes "went" & why.')
    for suffix in ("svg", "png"):
        assert (tmp_path / f"a/figures/03_bytes.{suffix}").read_bytes() == (
            tmp_path / f"b/figures/03_bytes.{suffix}"
        ).read_bytes()


def test_a_figure_shows_itself_and_leaves_pyplot_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    with style():
        figure, axes = sheet(2, 1, 1, 2)
    assert axes.shape == (1, 2)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert dict(matplotlib.rcParams) == before


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(DataError, match="make reproduce"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_page_too_large_to_send_is_refused(run, monkeypatch):
    monkeypatch.setattr("hierlib.views.report.LARGEST_REPORT", 10_000)
    with pytest.raises(DataError, match="more than 15"):
        write_report(run)
