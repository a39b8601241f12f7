"""One picture, every cut: what arrived and what it shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..codec.protocol import Decoded, ProgressiveCodec, block_ends
from .rate import ms_ssim, psnr_db, rounded

if TYPE_CHECKING:
    from torch import Tensor


DISTORTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"psnr_db": psnr_db, "ms_ssim": ms_ssim}


@dataclass(frozen=True)
class Point:
    """Where a stream is looked at. kind: budget, level, whole or original."""

    kind: str
    name: str
    budget_bytes: int | None = None


@dataclass
class View:
    """One picture at one point: what arrived and what it shows. decoded is None for the original."""

    point: Point
    sent_bytes: int
    file_bytes: int | None
    decoded: Decoded | None
    image: Tensor

    @property
    def decodable(self) -> bool:
        """Whether anything at all is known: a level or a symbol is there; or, of a codec that counts no symbols, the
        picture is not one flat colour.
        """
        d = self.decoded
        if d is None or d.complete or d.level > 0 or d.symbols_total > 0:
            return d is None or d.complete or d.level > 0 or d.symbols > 0
        return bool((self.image != self.image[:, :1, :1]).any())


def encoded(codec: ProgressiveCodec, originals: Sequence[Tensor], seconds: dict[str, float]) -> list[bytes]:
    """The whole stream of each picture. seconds: the time spent is added to its entry "encode".

    One by one, unless the codec says that it is much quicker for several of one size (``together``).
    """
    started = time.perf_counter()
    if getattr(codec, "together", False) and len({image.shape for image in originals}) == 1:
        streams = codec.encode_batch(originals)  # type: ignore[attr-defined]
    else:
        streams = [codec.encode(image) for image in originals]
    seconds["encode"] += time.perf_counter() - started
    return streams


def views_of(
    codec: ProgressiveCodec,
    original: Tensor,
    stream: bytes,
    ladder: Sequence[int],
    level_ends: bool,
    seconds: dict[str, float],
) -> tuple[list[View], int]:
    """One picture at every point, and how many decodings that took. Equal prefixes are decoded once.

    stream: of the whole picture. seconds: the time spent is added to its entries "encode" and "decode".
    """
    started = time.perf_counter()
    files = dict.fromkeys(ladder, stream)
    if (within := getattr(codec, "encode_within", None)) is not None:
        files = {budget: within(original, budget) for budget in ladder}
    encoded = time.perf_counter()
    wanted = [(Point("budget", f"{b} B", b), files[b], min(b, len(files[b]))) for b in ladder]
    ends = block_ends(codec, stream) if level_ends else ()
    wanted += [(Point("level", f"level {k}"), stream, end) for k, end in enumerate(ends, 1)]
    wanted += [(Point("whole", "whole file"), stream, len(stream))]
    cuts: dict[bytes, set[int]] = {}
    for _, file, cut in wanted:
        cuts.setdefault(file, set()).add(cut)
    shown = {file: _decoded(codec, file, sorted(of_file), original) for file, of_file in cuts.items()}
    seconds["encode"] += encoded - started
    seconds["decode"] += time.perf_counter() - encoded
    views = [View(point, cut, len(file), *shown[file][cut]) for point, file, cut in wanted]
    views.append(View(Point("original", "original"), 0, None, None, original))
    return views, sum(map(len, cuts.values()))


def _decoded(
    codec: ProgressiveCodec, file: bytes, cuts: list[int], original: Tensor
) -> dict[int, tuple[Decoded, Tensor]]:
    """What each cut of one file says, and what a viewer shows of it: 8 bits a channel.

    Where the prefix does not tell the size of the picture, that is mid-grey of the original's.
    """
    import torch

    ladder = getattr(codec, "decode_cuts", None)
    answers = ladder(file, cuts) if ladder is not None else [codec.decode(file[:cut]) for cut in cuts]
    seen: dict[int, Tensor] = {}  # a codec may hand out one tensor for several cuts: keep it one, to classify it once
    for decoded in answers:
        image = decoded.image.detach().cpu()
        known = image.shape == original.shape
        seen.setdefault(id(decoded.image), rounded(image if known else torch.full_like(original, 0.5)))
    return {cut: (decoded, seen[id(decoded.image)]) for cut, decoded in zip(cuts, answers, strict=True)}


def distortions(
    original: Tensor, views: list[View], measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = DISTORTIONS
) -> dict[int, dict[str, float]]:
    """Each of ``measures`` of each decoded picture, by its id, in one batch."""
    import torch

    images = {id(view.image): view.image for view in views if view.decoded is not None}
    stacked = torch.stack(list(images.values()))
    originals = original[None].expand_as(stacked)
    found = {name: measure(stacked, originals).tolist() for name, measure in measures.items()}
    return {key: {name: found[name][row] for name in found} for row, key in enumerate(images)}
