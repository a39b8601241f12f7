"""Rate and distortion of pictures that nobody labelled: the Kodak pictures, a folder of photographs.

    python -m hierlib.evaluation.distortion dpict $HIERLIB_DATA/kodak -o dpict-kodak.distortion.json

The same real files, cuts and measures as the sweep, at JPEG AI's rates, without hierarchy and classifiers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..codec.protocol import ProgressiveCodec
from ..errors import HierlibError, PictureError, refuse
from ..files import write_json
from .cuts import distortions, encoded, views_of
from .ladder import JPEG_AI_BPP, jpeg_ai
from .provenance import described
from .rate import bpp, ms_ssim_scales, rounded

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "hierlib-distortion-1"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")


def rate_distortion(codec: ProgressiveCodec, paths: Sequence[Path]) -> tuple[pd.DataFrame, dict[str, float]]:
    """Each picture at JPEG AI's rates and whole, a row each, and the seconds spent encoding and decoding.

    Columns: picture (file name), rate_bpp (what was allowed; missing for the whole file), bytes, bpp (really sent),
    file_bytes, psnr_db, ms_ssim (on five scales, or fewer where a side has less than 161 pixels), symbols, level.
    Raises PictureError for what is no picture.
    """
    import pandas as pd
    from tqdm.auto import tqdm

    from ..images.pictures import load_picture

    rows: list[dict[str, Any]] = []
    seconds = {"encode": 0.0, "decode": 0.0}
    for path in tqdm(paths, desc=f"{codec.name} on {len(paths)} pictures", unit="picture"):
        original = rounded(load_picture(path))
        height, width = original.shape[1:]
        ladder = dict(zip(jpeg_ai(height, width), sorted(JPEG_AI_BPP)))
        (stream,) = encoded(codec, [original], seconds)
        views, _ = views_of(codec, original, stream, list(ladder), False, seconds)
        distortion = distortions(original, views)
        for view in views:
            if view.decoded is None:
                continue
            row = {"picture": path.name, "rate_bpp": ladder.get(view.point.budget_bytes or 0)}
            row |= {"bytes": view.sent_bytes, "bpp": bpp(view.sent_bytes, height, width)}
            row |= {"file_bytes": view.file_bytes, **distortion[id(view.image)]}
            row |= {
                "symbols": view.decoded.symbols,
                "level": view.decoded.level,
                "scales": ms_ssim_scales(height, width),
            }
            rows.append(row)
    return pd.DataFrame(rows), seconds


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """Over pictures, a row for each rate and one for whole files: n, bytes, bpp, psnr_db, ms_ssim."""
    grouped = rows.fillna({"rate_bpp": float("inf")}).groupby("rate_bpp")
    table = grouped[["bytes", "bpp", "psnr_db", "ms_ssim"]].mean()
    table.insert(0, "n", grouped.size())
    return table.rename(index={float("inf"): "whole"})


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="hierlib.evaluation.distortion", description="Rate and distortion.")
    parser.add_argument("codec", help="a model's name or path, jpeg2000, webp-fresh, ...")
    parser.add_argument("pictures", type=Path, help="a folder of pictures, or one")
    parser.add_argument("-o", "--output", type=Path, help="results to write (.json)")
    arguments = parser.parse_args(argv)
    from ..baselines import load

    try:
        codec = load(arguments.codec)
        found = [arguments.pictures]
        if arguments.pictures.is_dir():
            found = sorted(p for p in arguments.pictures.iterdir() if p.suffix.lower() in SUFFIXES)
        if not found:
            raise PictureError(f"{arguments.pictures} holds no pictures: name a folder of {', '.join(SUFFIXES)}.")
        rows, seconds = rate_distortion(codec, found)
    except HierlibError as error:
        return refuse(error)
    if arguments.output is not None:
        meta = {"schema": SCHEMA, "codec": {"name": codec.name, **described(codec)}, "seconds": seconds}
        plain = rows.astype(object).where(rows.notna(), None).to_dict("list")
        write_json(arguments.output, {"meta": meta, "rows": plain})
    print(means(rows).to_string(float_format="{:.3f}".format))
    return 0


if __name__ == "__main__":
    sys.exit(main())
