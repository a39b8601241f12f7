"""The paper's Fig. 6: pictures whose answer climbs towards the truth along the bytes, by Wu-Palmer similarity.

From "Airliner" (0.320) by "Black grouse" (0.769) to "Kite" (0.880): a wrong answer is not as wrong as another.
Pictures are looked for in measured results; where their pack is at hand they are drawn, else two photographs are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .palette import GREEN, INK, VERMILION
from .sheet import sheet, styled
from .subjects import Subject, picture_set, subjects

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from ..classifiers import Classifier
    from ..codec.protocol import ProgressiveCodec
    from ..evaluation import Results


@dataclass(frozen=True)
class Step:
    """One cut: what it shows, what it is called, and how near that is to the truth (1: it is the truth).

    Where nothing can be decoded, answer is empty and wup NaN: a grey square is not asked for its name.
    """

    bytes: int
    bpp: float
    image: Tensor
    answer: str
    wup: float


def climbing(results: Results, classifier: str | None = None, most: int = 8) -> Any:
    """A frame of the pictures whose similarity never falls along the budgets and ends at 1, most rises first.

    picture: its index; truth: its class; rises: how often the answer came nearer; path: answers with their similarity
    where they change. Points of which nothing was decodable are no answers. Raises DataError for results without WUP.
    """
    import pandas as pd

    if "wup" not in results.rows:
        raise DataError(
            f"These results of {results.meta['pictures']['name']} have no WUP: their classes are not WordNet's."
        )
    names = class_names()
    rows = results.of(classifier, "budget")
    rows = rows[rows["decodable"]].sort_values(["picture", "bytes"], kind="stable")
    found = []
    for picture, group in rows.groupby("picture"):
        wup = group["wup"].to_numpy()
        rises = int((np.diff(wup) > 0).sum())
        if len(wup) < 2 or not rises or (np.diff(wup) < 0).any() or wup[-1] < 1:
            continue
        new = np.flatnonzero(np.r_[True, np.diff(wup) > 0])
        path = [f"{names[group['top1_wnid'].iloc[i]]} {wup[i]:.3f} at {group['budget_bytes'].iloc[i]} B" for i in new]
        found.append((picture, names[group["wnid"].iloc[0]], rises, ", ".join(path), wup[-1] - wup[0]))
    found.sort(key=lambda row: (-row[2], -row[4], row[0]))
    return pd.DataFrame([row[:4] for row in found[:most]], columns=["picture", "truth", "rises", "path"])


def ours(found: Mapping[str, Sequence[Results]]) -> Results | None:
    """Of results by set of pictures (``tables.measured``), the first of our own codec that have similarities."""
    from ..baselines import classical, peer

    each = [result for group in found.values() for result in group if "wup" in result.rows]
    return next(
        (result for result in each if not classical(name := result.meta["codec"]["name"]) and not peer(name)), None
    )


def class_names() -> dict[str, str]:
    """WordNet id -> name, of ImageNet's classes."""
    from ..hierarchy.classes import classes

    listed = classes("imagenet")
    return dict(zip(listed.wnids, listed.names, strict=True))


def pictures_of(results: Results | None, found: Any, n: int = 2) -> list[Subject]:
    """The first ``n`` pictures of a frame of ``climbing``; two photographs where their pack is not at hand."""
    if results is not None and len(found):
        try:
            pack = picture_set(results.meta["pictures"]["name"])
        except DataError:
            pack = None
        if pack is not None and len(pack) == results.meta["pictures"]["n"]:
            chosen = [int(i) for i in found["picture"][:n]]
            return [Subject(f"picture {i}", pack[i], pack.wnids[pack.labels[i]]) for i in chosen]
    return subjects("coffee chelsea", size=128)[:n]


def steps(codec: ProgressiveCodec, subject: Subject, classifier: Classifier, budgets: Sequence[int]) -> list[Step]:
    """What a codec shows of a picture at each byte budget, and what the classifier calls it (all its classes)."""
    import torch

    from ..evaluation.cuts import Point, View
    from ..evaluation.rate import rounded
    from ..hierarchy.wordnet import shipped_wordnet

    if subject.wnid is None:
        raise DataError(f"{subject.name} has no WordNet id: its answers have no similarity to the truth.")
    net, names, stream = shipped_wordnet(), class_names(), codec.encode(subject.image)
    found = []
    for budget in budgets:
        file = codec.encode_within(subject.image, budget) if hasattr(codec, "encode_within") else stream[:budget]
        decoded = codec.decode(file)
        image = decoded.image if decoded.image.shape == subject.image.shape else torch.full_like(subject.image, 0.5)
        view = View(Point("budget", f"{budget} B", budget), len(file), len(file), decoded, rounded(image))
        answer, wup = "", float("nan")
        if view.decodable:
            with torch.no_grad():
                wnid = classifier.wnids[int(classifier(view.image[None])[0].argmax())]
            answer, wup = names[wnid], net.wup(wnid, subject.wnid)
        found.append(Step(len(file), 8 * len(file) / image[0].numel(), view.image, answer, wup))
    return found


@styled
def qualitative(
    coders: Sequence[ProgressiveCodec], subject: Subject, classifier: Classifier, budgets: Sequence[int]
) -> Figure:
    """A row for each codec, a column for each budget: picture, answer, and its similarity to the truth (Fig. 6)."""
    from ..images.pictures import to_uint8

    figure, axes = sheet(2.1 * (len(budgets) + 1), 2.55 * len(coders), len(coders), len(budgets) + 1)
    for row, codec in zip(axes, coders, strict=True):
        for axis in row:
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            for spine in axis.spines.values():
                spine.set_visible(False)
        row[0].imshow(to_uint8(subject.image), interpolation="none")
        row[0].set_title(f"original: {class_names()[subject.wnid or '']}", fontsize=8.5)
        row[0].set_ylabel(codec.name, fontsize=10.5)
        for axis, step in zip(row[1:], steps(codec, subject, classifier, budgets), strict=True):
            axis.imshow(to_uint8(step.image), interpolation="none")
            axis.set_title(f"{step.bytes:,} B · {step.bpp:.2f} bpp", fontsize=8.5, color=INK)
            hue = GREEN if step.wup == 1 else VERMILION
            told = f"{step.answer[:24]}\nWUP = {step.wup:.3f}" if step.answer else "no file so small"
            axis.set_xlabel(told, fontsize=8.5, color=hue)
    return figure
