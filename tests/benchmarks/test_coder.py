"""The range coder against constriction and CompressAI's rANS: the same symbols, one run, ratios."""

from __future__ import annotations

import numpy as np
from timing import seconds

from hierlib.codec.rangecoder import Decoder, Encoder
from hierlib.codec.tables import LOG_SIGMA_MIN, LOG_SIGMA_STEP, TOTAL, Tables, gaussian_rows

SYMBOLS = 81_920  # of a 256x256 picture at the paper's size


def sample() -> tuple[np.ndarray, np.ndarray]:
    """Three quarters of tiny scales, as in a trained latent, in coding order; values drawn from their Gaussians."""
    random = np.random.default_rng(0)
    rows = np.where(random.random(SYMBOLS) < 0.75, random.integers(0, 3, SYMBOLS), random.integers(0, 40, SYMBOLS))
    rows = np.sort(rows)[::-1].copy()
    sigma = np.exp(LOG_SIGMA_MIN + rows * LOG_SIGMA_STEP)
    return np.rint(random.normal(size=SYMBOLS) * sigma).astype(np.int64), rows


def test_length_and_speed() -> None:
    import constriction
    from compressai.ans import RansDecoder, RansEncoder

    tables, (values, rows) = Tables(*gaussian_rows()), sample()
    sigma = np.exp(LOG_SIGMA_MIN + rows * LOG_SIGMA_STEP)

    def encode() -> bytes:
        encoder = Encoder()
        encoder.put_values(values, rows, tables)
        return encoder.finish()

    stream = encode()
    assert np.array_equal(Decoder(stream).take_values(rows, tables)[0], values)
    ours = seconds(encode), seconds(lambda: Decoder(stream).take_values(rows, tables))

    # constriction as learned codecs use it: one model family, a sigma a symbol
    family, mean, narrow = constriction.stream.model.QuantizedGaussian(-2000, 2000), np.zeros(SYMBOLS), values.astype(np.int32)  # fmt: skip  # noqa: E501

    def theirs() -> np.ndarray:
        encoder = constriction.stream.queue.RangeEncoder()
        encoder.encode(narrow, family, mean, sigma)
        return encoder.get_compressed()

    packed = theirs()
    family_s = (
        seconds(theirs),
        seconds(lambda: constriction.stream.queue.RangeDecoder(packed).decode(family, mean, sigma)),
    )

    # and at its fastest: our integer frequencies, one call for each run of equal rows
    runs = {
        row: (narrow[rows == row] - np.int32(tables.lows[row]), constriction.stream.model.Categorical(
            np.diff(tables.cumulative[tables.begins[row] : tables.begins[row + 1]]) / TOTAL, perfect=False))
        for row in np.unique(rows)
    }  # fmt: skip

    def in_runs() -> np.ndarray:
        encoder = constriction.stream.queue.RangeEncoder()
        for symbols, model in runs.values():
            encoder.encode(symbols, model)
        return encoder.get_compressed()

    def out_of_runs() -> None:
        decoder = constriction.stream.queue.RangeDecoder(packed_runs)
        for symbols, model in runs.values():
            decoder.decode(model, len(symbols))

    packed_runs = in_runs()
    runs_s = seconds(in_runs), seconds(out_of_runs)

    # CompressAI's rANS under the same frequencies
    parts = [tables.cumulative[tables.begins[r] : tables.begins[r + 1]].tolist() for r in range(64)]
    rans_arguments = (rows.tolist(), parts, [len(part) for part in parts], tables.lows.tolist())
    rans = RansEncoder().encode_with_indexes(values.tolist(), *rans_arguments)
    rans_s = (
        seconds(lambda: RansEncoder().encode_with_indexes(values.tolist(), *rans_arguments)),
        seconds(lambda: RansDecoder().decode_with_indexes(rans, *rans_arguments)),
    )
    ideal = tables.ideal_bits(values, rows) / 8
    print(
        f"{SYMBOLS:,} symbols, ideal {ideal:.1f} B: ours {len(stream)} B ({len(stream) / ideal - 1:+.3%}), "
        f"constriction {4 * len(packed_runs)} B, CompressAI's rANS {len(rans)} B"
    )
    for name, (their_encoding, their_decoding) in (
        ("constriction, a sigma a symbol", family_s),
        ("constriction, one call a run of equal sigma", runs_s),
        ("CompressAI's rANS", rans_s),
    ):
        both = (their_encoding + their_decoding) / sum(ours)
        print(
            f"  {name}: takes {their_encoding / ours[0]:.1f} times ours to encode, {their_decoding / ours[1]:.1f} to "
            f"decode, {both:.1f} for both"
        )
    assert len(stream) <= ideal * 1.002 + 8
    assert abs(len(stream) - 4 * len(packed_runs)) <= 0.001 * len(stream) + 4
    assert abs(len(stream) - len(rans)) <= 0.001 * len(stream) + 4
