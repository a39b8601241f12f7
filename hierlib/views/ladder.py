"""The ladder: one stream cut at a geometric series of budgets, each cut decoded and named once.

Everything that widgets, filmstrips and the report draw of a single picture comes from here, and nothing here draws.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..codec.protocol import Decoded, ProgressiveCodec, block_ends
from ..errors import BudgetError
from ..evaluation.confidence import shipped_confidence
from ..files import write_json
from ..images.pictures import check_picture, to_uint8
from .crumbs import Crumb, calibrated, check_fit, mark, name_pictures, truth_of
from .latents import arrival_maps, map_uri, received_whole
from .tables import byte_parts

if TYPE_CHECKING:
    from torch import Tensor

    from ..classifiers import Classifier
    from ..evaluation.confidence import Confidence
    from ..hierarchy.tree import Hierarchy

MOST_PARTS = 8  # blocks or layers that a strip of bytes can still show
SHARPEST_PNG = 96  # pixels: pictures up to this side are stored as PNG, larger ones as JPEG (a tenth of the size)


@dataclass(frozen=True)
class Rung:
    """One cut: ``bytes`` of the stream were given, ``decoded`` is what they say, ``crumbs`` what it is called.

    arrived: (levels, h, w), share in [0, 1] of each block's latents that are there, place by place; None if not known.
    """

    bytes: int
    bpp: float
    psnr_db: float
    decoded: Decoded
    crumbs: tuple[Crumb, ...]
    arrived: np.ndarray | None = None


@dataclass(frozen=True)
class Ladder:
    """A picture's stream at rising byte budgets, from nothing to the whole file.

    ends: bytes after which each level of the stream is complete; truth: group name per semantic level, () if unknown;
    parts: what the bytes are for, in order; confidence: who calibrated the answers, "" if nobody did.
    """

    picture: str
    codec: str
    classifier: str
    levels: tuple[str, ...]
    truth: tuple[str, ...]
    original: Tensor  # (3, H, W) in [0, 1]
    stream: bytes
    ends: tuple[int, ...]
    rungs: tuple[Rung, ...]
    parts: tuple[tuple[str, int], ...] = ()
    confidence: str = ""

    @property
    def budgets(self) -> tuple[int, ...]:
        return tuple(rung.bytes for rung in self.rungs)

    def at(self, max_bytes: int) -> Rung:
        """The highest rung that costs at most ``max_bytes``. Raises BudgetError below the lowest."""
        affordable = [rung for rung in self.rungs if rung.bytes <= max_bytes]
        if not affordable:
            raise BudgetError(
                f"{max_bytes} bytes buy nothing: the lowest rung has {min(self.budgets)}, give that or more."
            )
        return max(affordable, key=lambda rung: rung.bytes)

    def pick(self, n: int) -> tuple[Rung, ...]:
        """``n`` rungs spread evenly over the ladder, the first and the last among them: a filmstrip."""
        rows = np.linspace(0, len(self.rungs) - 1, min(n, len(self.rungs))).round().astype(int)
        return tuple(self.rungs[row] for row in np.unique(rows))

    def known_after(self, level: int) -> int | None:
        """Fewest bytes (a rung of this ladder) from which on the answer at ``level`` stays right; None if never."""
        known = None
        for rung in reversed(self.rungs):
            if not rung.crumbs[level].right:
                break
            known = rung.bytes
        return known

    def table(self) -> Any:
        """A pandas frame, one row a rung: bytes, bpp, PSNR and, per semantic level, the answer with its probability."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"bytes": rung.bytes, "bpp": round(rung.bpp, 4), "psnr_db": round(rung.psnr_db, 2)}
                | {crumb.level: f"{crumb.name} {crumb.sure:.0%}{mark(crumb)}" for crumb in rung.crumbs}
                for rung in self.rungs
            ]
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: everything a page needs to draw the slider, frames as data URIs."""
        height, width = self.original.shape[1:]
        return {
            "picture": self.picture,
            "codec": self.codec,
            "classifier": self.classifier,
            "width": int(width),
            "height": int(height),
            "size_bytes": len(self.stream),
            "ends": list(self.ends),
            "levels": list(self.levels),
            "truth": list(self.truth),
            "parts": [list(part) for part in self.parts],
            "confidence": self.confidence,
            "original": data_uri(self.original),
            "rungs": [
                {
                    "bytes": rung.bytes,
                    "bpp": round(rung.bpp, 4),
                    "psnr_db": round(rung.psnr_db, 2),
                    "level": rung.decoded.level,
                    "symbols": rung.decoded.symbols,
                    "symbols_total": rung.decoded.symbols_total,
                    "crumbs": [[c.name, round(c.sure, 4), c.right] for c in rung.crumbs],
                    "frame": data_uri(rung.decoded.image),
                    "arrived": None if rung.arrived is None else map_uri(rung.arrived),
                }
                for rung in self.rungs
            ],
        }


def climb(
    codec: ProgressiveCodec,
    image: Tensor,
    hierarchy: Hierarchy,
    classifier: Classifier,
    *,
    picture: str = "picture",
    wnid: str | None = None,
    rungs: int = 28,
    budgets: Sequence[int] | None = None,
    stream: bytes | None = None,
    confidence: Confidence | Literal[False] | None = None,
) -> Ladder:
    """Encode ``image`` (3, H, W in [0, 1]), cut its stream, decode and name each cut.

    wnid: the class the picture shows, where it is known. budgets: cuts in bytes instead of a geometric ladder of about
    ``rungs`` (a budget beyond the file gives the whole file). stream: an encoding made before. confidence: calibrates
    the answers; what ships for this codec, classifier and hierarchy, if None; False leaves them as the classifier says,
    which is what codecs of one duel need to be seen alike.
    Raises BudgetError for a negative budget, HierarchyError if classifier and hierarchy name different classes.
    """
    image = check_picture(image)
    check_fit(hierarchy, classifier)
    stream = codec.encode(image) if stream is None else stream
    ends = block_ends(codec, stream)
    cuts = tuple(budgets) if budgets is not None else geometric_budgets(len(stream), rungs, ends)
    if not cuts or min(cuts) < 0:
        raise BudgetError(f"Byte budgets must be 0 or more, at least one; got {list(cuts)}.")
    pixels = image.shape[1] * image.shape[2]
    if confidence is None:
        confidence = shipped_confidence(codec, classifier, hierarchy, pixels)
    received = received_whole(codec, stream)
    shown = decode_cuts(codec, stream, cuts) if received is None else [received.picture_at(n) for n in cuts]
    pictures = [_fit(decoded, image) for decoded in shown]
    truth = truth_of(hierarchy, wnid)
    named = name_pictures([decoded.image for decoded in pictures], hierarchy, classifier, truth)
    if confidence:
        named = [calibrated(crumbs, confidence, cut, pixels) for crumbs, cut in zip(named, cuts, strict=True)]
    maps = arrival_maps(received, cuts)
    return Ladder(
        picture=picture,
        codec=codec.name,
        classifier=classifier.name,
        levels=tuple(hierarchy.levels),
        truth=() if truth is None else tuple(hierarchy.group_names[k][g] for k, g in enumerate(truth)),
        original=image,
        stream=stream,
        ends=ends,
        rungs=tuple(
            Rung(cut, 8 * min(cut, len(stream)) / pixels, _psnr_db(image, decoded.image), decoded, crumbs, arrived)
            for cut, decoded, crumbs, arrived in zip(cuts, pictures, named, maps, strict=True)
        ),
        parts=tuple(byte_parts(codec, stream, received).items()) if len(ends) <= MOST_PARTS else (),
        confidence=str(confidence) if confidence else "",
    )


def geometric_budgets(size: int, rungs: int, ends: Iterable[int] = (), first: int = 12) -> tuple[int, ...]:
    """0, about ``rungs`` geometric steps from ``first`` bytes to ``size``, and every level end: strictly rising."""
    steps = np.geomspace(min(first, size), size, max(2, rungs - 1)).round().astype(int).tolist() if size else []
    return tuple(sorted({0, size, *steps, *(end for end in ends if 0 <= end <= size)}))


def decode_cuts(codec: ProgressiveCodec, stream: bytes, cuts: Sequence[int]) -> list[Decoded]:
    """``stream[:n]`` decoded for each ``n``; a codec that shares work between cuts (``decode_cuts``) is asked to."""
    together = getattr(codec, "decode_cuts", None)
    return list(together(stream, cuts)) if together else [codec.decode(stream[:n]) for n in cuts]


def save_ladders(run_folder: str | Path, picture: str, ladders: Sequence[Ladder]) -> Path:
    """Write ``ladders/<picture>.json``: one picture under one slider, a pane for each ladder (codec)."""
    path = Path(run_folder) / "ladders" / f"{picture}.json"
    write_json(path, {"picture": picture, "ladders": [ladder.as_dict() for ladder in ladders]})
    return path


def frame_bytes(image: Tensor) -> tuple[bytes, str]:
    """(3, H, W) in [0, 1] -> an encoded frame for a page and its format: PNG when small, JPEG (quality 90) when not."""
    from PIL import Image

    kind = "png" if max(image.shape[1:]) <= SHARPEST_PNG else "jpeg"
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, kind, quality=90)
    return buffer.getvalue(), kind


def data_uri(image: Tensor) -> str:
    """A picture as a ``data:`` address, so that a page that shows it needs no other file."""
    content, kind = frame_bytes(image)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _fit(decoded: Decoded, image: Tensor) -> Decoded:
    """The same at the original's size: a prefix that ends inside the header does not know the size yet."""
    if decoded.image.shape == image.shape:
        return decoded
    import torch.nn.functional as F

    return replace(decoded, image=F.interpolate(decoded.image[None], size=image.shape[1:])[0])


def _psnr_db(image: Tensor, decoded: Tensor) -> float:
    """PSNR of the 8-bit pictures, 100 dB where they are equal."""
    error = float(((to_uint8(image).astype(float) - to_uint8(decoded).astype(float)) ** 2).mean())
    return min(100.0, float(10 * np.log10(255**2 / error))) if error > 0 else 100.0
