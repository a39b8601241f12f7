"""Who says what: the answer at each level, from kind of thing to thing, and how sure it is. Nothing here draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import HierarchyError

if TYPE_CHECKING:
    from torch import Tensor

    from ..classifiers import Classifier
    from ..evaluation.confidence import Confidence
    from ..hierarchy.tree import Hierarchy


@dataclass(frozen=True)
class Crumb:
    """The answer at one level: group, its probability in [0, 1], and whether it is right (None: truth not known).

    calibrated: how often answers of that probability are right after so few bits; None where nobody measured it.
    """

    level: str
    name: str
    probability: float
    right: bool | None
    calibrated: float | None = None

    @property
    def sure(self) -> float:
        """What is shown as confidence: calibrated where that is known, else the classifier's own probability."""
        return self.probability if self.calibrated is None else self.calibrated


def name_pictures(
    images: Sequence[Tensor], hierarchy: Hierarchy, classifier: Classifier, truth: Sequence[int] | None = None
) -> list[tuple[Crumb, ...]]:
    """The likeliest group at each level with its probability, for each of ``images`` (equal sizes).

    truth: the right group id per level, or None where it is not known.
    """
    import torch

    with torch.no_grad():
        logits = torch.cat([classifier(torch.stack(list(images[i : i + 8]))) for i in range(0, len(images), 8)])
        sure = [hierarchy.log_probabilities(logits, k).exp() for k in range(len(hierarchy.levels))]
    return [
        tuple(
            Crumb(
                level=name,
                name=hierarchy.group_names[k][int(p[row].argmax())],
                probability=float(p[row].max()),
                right=None if truth is None else int(p[row].argmax()) == truth[k],
            )
            for k, (name, p) in enumerate(zip(hierarchy.levels, sure, strict=True))
        )
        for row in range(len(images))
    ]


def calibrated(crumbs: Sequence[Crumb], confidence: Confidence, n_bytes: int, pixels: int) -> tuple[Crumb, ...]:
    """The same answers with how often such answers are right."""
    return tuple(
        replace(crumb, calibrated=confidence(level, crumb.probability, n_bytes, pixels))
        for level, crumb in enumerate(crumbs)
    )


def mark(crumb: Crumb) -> str:
    """A tick where the answer is right, a cross where it is wrong, nothing where the truth is not known."""
    return {True: " ✓", False: " ✗", None: ""}[crumb.right]


def truth_of(hierarchy: Hierarchy, wnid: str | None) -> tuple[int, ...] | None:
    """Group id per level of a class, None for a class that is not known or not in the hierarchy."""
    if wnid is None or wnid not in hierarchy.wnids:
        return None
    return tuple(int(level[hierarchy.wnids.index(wnid)]) for level in hierarchy.groups)


def check_fit(hierarchy: Hierarchy, classifier: Classifier) -> None:
    """Raise HierarchyError unless the classifier's outputs are the hierarchy's rows, in order."""
    if tuple(classifier.wnids) != tuple(hierarchy.wnids):
        raise HierarchyError(
            f"Classifier {classifier.name} knows {len(classifier.wnids)} classes, hierarchy {hierarchy.name} "
            f"{len(hierarchy.wnids)}, and their order differs: use hierarchy.restrict(classifier.wnids)."
        )
