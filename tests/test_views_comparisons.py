import pytest
from evaluation_toys import ByColour, FourBytes, hierarchy, pictures

from hierlib.errors import DataError
from hierlib.evaluation import evaluate
from hierlib.views.comparisons import at_a_glance, bd_rates, differences, named, prices


class Blind(FourBytes):
    name = "blind"

    def decode(self, prefix):
        return super().decode(prefix[:3])


class Fresh(FourBytes):
    name = "fresh"

    def encode_within(self, image, max_bytes):
        return self.encode(image) if max_bytes >= 4 else b""


@pytest.fixture(scope="module")
def results():
    jury = {"one": ByColour(), "other": ByColour()}
    codecs = (FourBytes(), Blind(), Fresh())
    return [evaluate(c, pictures([0, 1, 2, 3]), hierarchy(), jury, (2, 3, 4), progress=False) for c in codecs]


def test_blocks_by_classifier(results):
    table = differences(named(results, "blind"), named(results, "four bytes"), "right_thing")
    assert table.index.unique().tolist() == ["one", "other"]
    assert table.loc["one", "difference"].tolist() == [0, 0, 0.5]
    saved = bd_rates(named(results, "four bytes"), named(results, "four bytes"), "right_thing")
    assert saved.loc["other", ["percent", "overlap", "n"]].tolist() == [pytest.approx(0), 1, "3 and 3"]


def test_prices_by_codec(results):
    table = prices(results, "fresh", "right_thing")
    assert table.loc["four bytes", ["budget_bytes", "price"]].tolist() == [4, 0]
    assert table.loc["blind", "price"] == 0.5
    with pytest.raises(DataError, match="four bytes, blind, fresh"):
        named(results, "slow")


def test_at_a_glance(results):
    codecs = [FourBytes(), Blind(), Fresh()]
    table = at_a_glance(codecs, results, [pictures([0])[0]])
    assert table.index.tolist() == ["four bytes", "blind", "fresh"]
    assert table["empty_bytes"].tolist() == [4, 4, 4]
    assert table.loc["four bytes", ["encode, times four bytes", "decode, times four bytes"]].tolist() == [1, 1]
    accuracy = table["thing"].str.split().str[0].astype(float)  # a quarter guessed, half right with the kind, then all
    assert accuracy["blind"] < accuracy["four bytes"] < 1
