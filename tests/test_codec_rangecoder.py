"""The coder against an oracle library, its own promise at every byte, and junk."""

from __future__ import annotations

import numpy as np
import pytest

from hierlib.codec.rangecoder import LARGEST, Decoder, Encoder
from hierlib.codec.tables import (
    LOG_SIGMA_MIN,
    LOG_SIGMA_STEP,
    TOTAL,
    Tables,
    gaussian_rows,
    packed,
    scale_index,
    unpacked,
)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables(*gaussian_rows())


def sample(count: int, outliers: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values drawn from the Gaussians whose rows they are coded under, and some that lie far outside."""
    random = np.random.default_rng(seed)
    rows = np.sort(random.integers(0, 40, count))[::-1].copy()
    values = np.rint(random.normal(size=count) * np.exp(LOG_SIGMA_MIN + rows * LOG_SIGMA_STEP)).astype(np.int64)
    values[random.integers(0, count, outliers)] = random.integers(-100_000, 100_000, outliers)
    return values, rows


def encoded(values: np.ndarray, rows: np.ndarray, tables: Tables) -> bytes:
    encoder = Encoder()
    encoder.put_values(values, rows, tables)
    return encoder.finish()


@pytest.mark.parametrize(("count", "outliers"), [(1, 0), (1, 1), (50, 2), (700, 5)])
def test_every_cut_gives_a_prefix_of_the_symbols(tables: Tables, count: int, outliers: int) -> None:
    values, rows = sample(count, outliers)
    stream = encoded(values, rows, tables)
    whole, needed = Decoder(stream).take_values(rows, tables)
    assert np.array_equal(whole, values)
    for cut in range(len(stream)):
        found, found_needed = Decoder(stream[:cut]).take_values(rows, tables)
        assert np.array_equal(found, values[: len(found)])
        # the bytes each symbol needs, noted while decoding the whole, say exactly what a cut decodes to
        assert len(found) == np.searchsorted(needed, cut, side="right")
        assert np.array_equal(found_needed, needed[: len(found)])


def test_what_is_settled_survives_any_continuation(tables: Tables) -> None:
    values, rows = sample(300, 2)
    stream = encoded(values, rows, tables)
    random = np.random.default_rng(1)
    for cut in range(0, len(stream), 7):
        settled, _ = Decoder(stream[:cut]).take_values(rows, tables)
        for _ in range(5):
            other = stream[:cut] + random.integers(0, 256, 40, dtype=np.uint8).tobytes()
            assert np.array_equal(Decoder(other).take_values(rows, tables)[0][: len(settled)], settled)


def test_nothing_settled_is_withheld(tables: Tables) -> None:
    """The first symbol not returned really is open: some completion of the bytes gives another value."""
    values, rows = sample(200)
    stream = encoded(values, rows, tables)
    for cut in range(1, len(stream) - 4, 9):
        count = len(Decoder(stream[:cut]).take_values(rows, tables)[0])
        ends = [Decoder(stream[:cut] + bytes([fill]) * 24).take_values(rows, tables)[0] for fill in (0, 255)]
        following = {int(end[count]) if len(end) > count else None for end in ends}
        assert len(following) == 2


def test_as_short_as_a_library_coder(tables: Tables) -> None:
    """constriction codes the same symbols under the same integer frequencies, as an oracle for the length."""
    import constriction

    values, rows = sample(5000)
    oracle = constriction.stream.queue.RangeEncoder()
    for row in np.unique(rows):  # runs of one row: the sample is sorted
        begin, end = tables.begins[row], tables.begins[row + 1]
        mass = np.diff(tables.cumulative[begin:end]).astype(np.float64) / TOTAL
        model = constriction.stream.model.Categorical(mass, perfect=False)
        oracle.encode((values[rows == row] - tables.lows[row]).astype(np.int32), model)
    ours, theirs = len(encoded(values, rows, tables)), 4 * len(oracle.get_compressed())
    assert abs(ours - theirs) <= 0.001 * theirs + 8
    assert ours <= tables.ideal_bits(values, rows) / 8 * 1.002 + 8


@pytest.mark.parametrize("chunk", [1, 2, 5, 100])
def test_a_decoder_that_is_fed_goes_on_as_if_it_had_had_it_all(tables: Tables, chunk: int) -> None:
    values, rows = sample(600, 6)
    stream = encoded(values, rows, tables)
    whole, whole_needed = Decoder(stream).take_values(rows, tables)
    decoder, found, needed = Decoder(), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    for at in range(0, len(stream), chunk):
        decoder.extend(stream[at : at + chunk])
        more, more_needed = decoder.take_values(rows[len(found) :], tables)
        found, needed = np.append(found, more), np.append(needed, more_needed)
        assert len(found) == np.searchsorted(whole_needed, at + chunk, side="right")
    assert np.array_equal(found, whole)
    assert np.array_equal(needed, whole_needed)


def test_rewinding_reads_the_same_again_once_more_bytes_are_there(tables: Tables) -> None:
    encoder = Encoder()
    encoder.put_bits(0xABCDE, 20)
    stream = encoder.finish()
    decoder = Decoder(stream[:2])
    mark = decoder.mark()
    assert decoder.take_bits(20) is None
    decoder.rewind(mark)
    assert decoder.stopped
    decoder.extend(stream[2:])
    assert decoder.take_bits(20) == 0xABCDE


@pytest.mark.parametrize("value", [LARGEST, -LARGEST])
def test_the_largest_magnitude_fits_under_every_row(tables: Tables, value: int) -> None:
    rows = np.arange(64)
    stream = encoded(np.full(64, value), rows, tables)
    assert set(Decoder(stream).take_values(rows, tables)[0].tolist()) == {value}


def test_bits_and_intervals_mix_with_values(tables: Tables) -> None:
    encoder = Encoder()
    encoder.put_bits(0b1011, 4)
    encoder.put(0, TOTAL - 1)
    encoder.put_values(np.array([3, -2]), np.array([30, 30]), tables)
    decoder = Decoder(encoder.finish())
    assert decoder.take_bits(4) == 0b1011
    assert decoder.take(np.array([0, TOTAL - 1, TOTAL])) == 0
    assert decoder.take_values(np.array([30, 30]), tables)[0].tolist() == [3, -2]
    assert not decoder.stopped


def test_nothing_at_all() -> None:
    assert Encoder().finish() == b""
    assert Decoder(b"").take_bits(1) is None


def test_random_bytes_never_hang_or_crash(tables: Tables) -> None:
    random = np.random.default_rng(3)
    rows = np.sort(random.integers(0, 64, 400))[::-1].copy()
    for _ in range(200):
        junk = random.integers(0, 256, random.integers(0, 60), dtype=np.uint8).tobytes()
        values, needed = Decoder(junk).take_values(rows, tables)
        assert len(values) == len(needed) <= 400
        assert np.abs(values).max(initial=0) < 2**26


def test_gaussian_rows_are_what_they_say() -> None:
    rows, lows = gaussian_rows()
    assert len(rows) == 64
    for entry in (20, 25, 30):
        sigma = np.exp(LOG_SIGMA_MIN + entry * LOG_SIGMA_STEP)
        mass = rows[entry][:-1] / TOTAL
        values = lows[entry] + np.arange(len(mass))
        assert mass @ values == pytest.approx(0, abs=1e-9 + 2e-2 * sigma)
        # unit bins add 1/12 to the variance; the least mass, 1 in 65536, fattens the far tails of wide rows
        assert mass @ values**2 == pytest.approx(sigma**2 + 1 / 12, rel=0.02)
    assert rows[0].tolist()[len(rows[0]) // 2 - 1] > 65_000
    again = unpacked(packed(rows, lows))
    assert np.array_equal(again.cumulative, Tables(rows, lows).cumulative)


def test_scale_index_rounds_up_and_clamps_as_an_integer() -> None:
    positions = np.array([-5.0, 0.0, 1e-12, 0.5, 1.0, 62.5, 63.0, 1e9])
    assert scale_index(positions).tolist() == [0, 0, 1, 1, 1, 63, 63, 63]


@pytest.mark.parametrize("row", [[TOTAL], [TOTAL, 0], [TOTAL - 1, 2], [TOTAL - 2, 1]])
def test_frequencies_that_are_none_are_refused(row: list[int]) -> None:
    with pytest.raises(ValueError, match="sums to 65536"):
        Tables([np.array(row)], np.array([0]))
