"""One harness for every codec: encode once, really cut the file, decode, classify, measure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codec.protocol import ProgressiveCodec
from ..errors import BudgetError, DataError, HierarchyError
from .classify import Judge, guesses, judges, similarity, verdicts
from .cuts import DISTORTIONS, distortions, encoded, views_of
from .provenance import identity, provenance
from .ranks import ranks
from .rate import bpp, rounded
from .results import Results, tidy
from .shards import Shards

if TYPE_CHECKING:
    from torch import Tensor

    from ..classifiers import Classifier
    from ..hierarchy.tree import Hierarchy
    from ..images.packs import PictureSet
    from .perceptual import Lpips

CHUNK_PICTURES = 16
CHUNK_PIXELS = 1 << 20  # pictures are held at every point at once: 12 MB a point


@dataclass(frozen=True)
class Sweep:
    """All that one evaluation is made of, checked. labels: (n,) rows of the hierarchy; wup: (N, N) or None."""

    codec: ProgressiveCodec
    pictures: PictureSet
    labels: np.ndarray
    hierarchy: Hierarchy
    jury: list[Judge]
    ladder: list[int]
    level_ends: bool
    batch: int
    wup: np.ndarray | None
    about_wup: str
    lpips: Lpips | None = None


def evaluate(
    codec: ProgressiveCodec,
    pictures: PictureSet,
    hierarchy: Hierarchy,
    classifiers: Mapping[str, Classifier] | Sequence[Classifier],
    budgets: Sequence[int],
    *,
    wup: bool = True,
    level_ends: bool = True,
    resume: Path | str | None = None,
    batch: int = 16,
    lpips: Lpips | None = None,
    progress: bool = True,
) -> Results:
    """Measure a codec on labelled pictures, from real bytes.

    Each picture is encoded once; its file is cut at every budget (the whole file where a budget exceeds it), at the
    codec's level ends, and not at all; what each prefix shows, rounded to 8 bits as a viewer would have it, is compared
    with the original and classified. The originals are classified too. Where a prefix shows nothing, the majority
    guess answers and the row says ``decodable=False``.

    codec:       two methods make one (ProgressiveCodec). A method ``decode_cuts(stream, cuts)`` is used where there is
                 one, for speed; with ``encode_within(image, max_bytes)`` a fresh file is made for each budget.
    hierarchy:   must hold every class of the pictures; each classifier must know every class of the hierarchy, and is
                 restricted to them.
    budgets:     bytes, each at least 1.
    resume:      a .jsonl file for partial results: after Ctrl-C or a kill, the same call goes on where it stopped and
                 returns what an uninterrupted one would have. Under torchrun each process keeps its own beside it.
    batch:       pictures a classifier sees at once. On a CPU more is no faster; on a GPU ask for hundreds.
    lpips:       ``evaluation.perceptual.Lpips()`` adds the column ``lpips``.

    Raises BudgetError, HierarchyError, DataError before anything is computed; PictureError, BitstreamError from codecs.
    """
    ladder = _checked(budgets)
    if not len(pictures):
        raise DataError(f"The set {pictures.name} is empty: give at least one picture.")
    labels = _labels(pictures, hierarchy)
    matrix, about_wup = similarity(hierarchy, wup)
    jury = judges(classifiers, hierarchy)
    sweep = Sweep(codec, pictures, labels, hierarchy, jury, ladder, level_ends, batch, matrix, about_wup, lpips)
    run = identity(sweep)
    own = ranks()
    start, end = own.share(len(pictures), _chunk_of(pictures[0]))
    shards = Shards(own.own(Path(resume)) if resume is not None else None, run)
    from tqdm.auto import tqdm

    with tqdm(
        total=end - start,
        initial=shards.pictures_done,
        desc=f"{codec.name} on {pictures.name}",
        unit="picture",
        disable=not progress or own.rank > 0,
    ) as bar:
        for chunk in _chunks(pictures, start + shards.pictures_done, end):
            shards.append(_measure(sweep, chunk))
            bar.update(len(chunk))
    chunks = own.together(shards.chunks)
    gathered: dict[str, list[Any]] = {}
    for part in chunks:
        for name, values in part["rows"].items():
            gathered.setdefault(name, []).extend(values)
    return Results(tidy(gathered), provenance(sweep, run, chunks))


def _checked(budgets: Sequence[int]) -> list[int]:
    wrong = [b for b in budgets if isinstance(b, bool) or not isinstance(b, (int, np.integer)) or b < 1]
    if wrong:
        raise BudgetError(f"A budget of {wrong[0]!r} bytes cannot be met: budgets are whole numbers, at least 1.")
    return sorted({int(b) for b in budgets})


def _labels(pictures: PictureSet, hierarchy: Hierarchy) -> np.ndarray:
    """(n,) rows of the hierarchy. Raises HierarchyError for a class it lacks."""
    row = {wnid: i for i, wnid in enumerate(hierarchy.wnids)}
    of_pictures = [pictures.wnids[i] for i in pictures.labels]
    missing = sorted({wnid for wnid in of_pictures if wnid not in row})
    if missing:
        raise HierarchyError(
            f"{len(missing)} classes of the pictures {pictures.name} are not in the hierarchy {hierarchy.name}, the "
            f"first is {missing[0]}: use a hierarchy of these classes, or leave those pictures out."
        )
    return np.array([row[wnid] for wnid in of_pictures], dtype=np.int64)


def _chunk_of(image: Tensor) -> int:
    """How many pictures of this size make a chunk."""
    return max(1, min(CHUNK_PICTURES, CHUNK_PIXELS // image[0].numel()))


def _chunks(pictures: PictureSet, start: int, end: int) -> Iterator[list[tuple[int, Tensor]]]:
    """Pictures with their indices, a chunk at a time; the chunks are the same wherever one starts anew."""
    chunk: list[tuple[int, Tensor]] = []
    pixels = 0
    for index in range(start, end):
        image = rounded(pictures[index])
        if chunk and (len(chunk) == CHUNK_PICTURES or pixels + image[0].numel() > CHUNK_PIXELS):
            yield chunk
            chunk, pixels = [], 0
        chunk.append((index, image))
        pixels += image[0].numel()
    if chunk:
        yield chunk


def _measure(sweep: Sweep, chunk: list[tuple[int, Tensor]]) -> dict[str, Any]:
    """Rows of the pictures of one chunk: per classifier, per picture, per point."""
    seconds = {"encode": 0.0, "decode": 0.0, "measure": 0.0, "classify": 0.0}
    decodings = 0
    measures = dict(DISTORTIONS)
    if sweep.lpips is not None:
        measures["lpips"] = sweep.lpips
    facts: list[dict[str, Any]] = []
    seen: list[Tensor] = []
    place: list[int | None] = []
    truth: list[int] = []
    streams = encoded(sweep.codec, [original for _, original in chunk], seconds)
    for (index, original), stream in zip(chunk, streams, strict=True):
        views, n = views_of(sweep.codec, original, stream, sweep.ladder, sweep.level_ends, seconds)
        decodings += n
        started = time.perf_counter()
        distortion = distortions(original, views, measures)
        seconds["measure"] += time.perf_counter() - started
        where: dict[int, int] = {}
        for view in views:
            d, (height, width) = view.decoded, original.shape[1:]
            facts.append(
                {
                    "picture": index,
                    "wnid": sweep.hierarchy.wnids[sweep.labels[index]],
                    "kind": view.point.kind,
                    "point": view.point.name,
                    "budget_bytes": view.point.budget_bytes,
                    "bytes": view.sent_bytes,
                    "bytes_used": d.bytes_used if d else None,
                    "file_bytes": view.file_bytes,
                    "bpp": bpp(view.sent_bytes, height, width) if d else None,
                    "level": d.level if d else None,
                    "symbols": d.symbols if d else None,
                    "symbols_total": d.symbols_total if d else None,
                    "complete": d.complete if d else True,
                    "decodable": view.decodable,
                    **distortion.get(id(view.image), dict.fromkeys(measures)),
                }
            )
            truth.append(int(sweep.labels[index]))
            if not view.decodable:
                place.append(None)
                continue
            if id(view.image) not in where:  # points that show the same picture share its verdict
                where[id(view.image)] = len(seen)
                seen.append(view.image)
            place.append(where[id(view.image)])
    rows: dict[str, list[Any]] = {}
    started = time.perf_counter()
    for answer in _answers(sweep, seen, place, np.array(truth)):
        for fact, measures in zip(facts, answer):
            for name, value in {**fact, **measures}.items():
                rows.setdefault(name, []).append(value)
    seconds["classify"] = time.perf_counter() - started
    return {"pictures": len(chunk), "rows": rows, "seconds": seconds, "decodings": decodings}


def _answers(
    sweep: Sweep, seen: list[Tensor], place: list[int | None], truth: np.ndarray
) -> Iterator[list[dict[str, Any]]]:
    """Per classifier, the measures of every row: its verdict, or the majority guess where there is nothing to see."""
    guessed = guesses(truth, sweep.labels, sweep.hierarchy, sweep.wup)
    rows = np.flatnonzero([p is not None for p in place])
    shown = np.array([p for p in place if p is not None], dtype=np.int64)
    for judge in sweep.jury:
        found = verdicts(judge.logits(seen, sweep.batch)[shown], truth[rows], sweep.hierarchy, sweep.wup)
        merged = {name: values.astype(found[name].dtype) for name, values in guessed.items()}
        for name, values in found.items():
            merged[name][rows] = values
        plain = {name: values.tolist() for name, values in merged.items()}
        yield [{"classifier": judge.name, **{name: plain[name][row] for name in plain}} for row in range(len(truth))]
