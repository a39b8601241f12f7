"""From pictures to verdicts: is the kind of thing right, at each level of the hierarchy?

Two conventions stand side by side. ``right_<level>``: the group with the largest SUM of its members' probabilities is
the true one (the project's, and what the cross-entropy of training sees). ``right_<level>_of_top1``: the group of the
single likeliest class is the true one (what papers often report).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HierarchyError

if TYPE_CHECKING:
    from torch import Tensor

    from ..classifiers import Classifier
    from ..hierarchy.tree import Hierarchy

WORDNET_ID = re.compile(r"n\d{8}")


@dataclass(frozen=True)
class Judge:
    """A classifier seen through a hierarchy: logits of the hierarchy's classes, in its order.

    rows: where each of the hierarchy's classes is among the classifier's; None if they are the same.
    """

    name: str
    classifier: Classifier
    rows: tuple[int, ...] | None

    def logits(self, images: Sequence[Tensor], batch: int) -> Tensor:
        """n pictures (3, H, W) in [0, 1], of any sizes -> (n, N) float32; batches hold pictures of one size."""
        import torch

        by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            by_shape.setdefault(tuple(image.shape), []).append(index)
        answers: list[Tensor | None] = [None] * len(images)
        with torch.no_grad():
            for indices in by_shape.values():
                for start in range(0, len(indices), batch):
                    some = indices[start : start + batch]
                    for index, answer in zip(some, self._answer(torch.stack([images[i] for i in some]))):
                        answers[index] = answer
        return torch.stack([answer for answer in answers if answer is not None])

    def _answer(self, images: Tensor) -> Tensor:
        logits = self.classifier(images.to(_device(self.classifier))).float().cpu()
        return logits if self.rows is None else logits[:, list(self.rows)]


def _device(classifier: Any) -> Any:
    """Where a classifier wants its pictures: its own ``device``, or that of its network; the CPU if it does not say."""
    import torch

    if hasattr(classifier, "device"):
        return classifier.device
    network = classifier if isinstance(classifier, torch.nn.Module) else getattr(classifier, "network", None)
    weights = network.parameters() if isinstance(network, torch.nn.Module) else iter(())
    return next((weight.device for weight in weights), torch.device("cpu"))


def judges(classifiers: Mapping[str, Classifier] | Sequence[Classifier], hierarchy: Hierarchy) -> list[Judge]:
    """Classifiers made to answer for the hierarchy's classes.

    Raises HierarchyError for a classifier that lacks one of them, two classifiers of one name, or none at all.
    """
    named = list(classifiers.items()) if isinstance(classifiers, Mapping) else [(c.name, c) for c in classifiers]
    if not named or len({name for name, _ in named}) < len(named):
        names = [name for name, _ in named]
        raise HierarchyError(f"The classifiers are called {names}: give at least one, each under its own name.")
    return [Judge(name, classifier, _rows(name, classifier, hierarchy)) for name, classifier in named]


def _rows(name: str, classifier: Classifier, hierarchy: Hierarchy) -> tuple[int, ...] | None:
    if tuple(classifier.wnids) == tuple(hierarchy.wnids):
        return None
    row = {wnid: i for i, wnid in enumerate(classifier.wnids)}
    missing = [wnid for wnid in hierarchy.wnids if wnid not in row]
    if missing:
        raise HierarchyError(
            f"The classifier {name} does not know {len(missing)} of the {len(hierarchy.wnids)} classes of "
            f"{hierarchy.name}, the first is {missing[0]}: restrict the hierarchy to the classifier's classes."
        )
    return tuple(row[wnid] for wnid in hierarchy.wnids)


def similarity(hierarchy: Hierarchy, wanted: bool) -> tuple[np.ndarray | None, str]:
    """(N, N) Wu-Palmer similarities (Eq. 1) or None, and a word on why."""
    if not wanted:
        return None, "not asked for"
    strange = [wnid for wnid in hierarchy.wnids if not WORDNET_ID.fullmatch(wnid)]
    if strange:
        return None, f"no WordNet: {strange[0]} is no WordNet id"
    from ..hierarchy.wordnet import wup_matrix

    return wup_matrix(hierarchy.wnids), "Wu-Palmer, Eq. 1"


def verdicts(
    logits: Tensor, labels: np.ndarray, hierarchy: Hierarchy, wup: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Measures of (B, N) logits against (B,) true classes: one (B,) array each.

    top1, top1_wnid; per level right_<level>, right_<level>_of_top1, probability_<level> (of the right group, summed),
    confidence_<level> (of the group that was answered); wup (Wu-Palmer of the likeliest and the true class) if a matrix
    is given.
    """
    best = logits.argmax(1).numpy()
    found: dict[str, Any] = {"top1": best == labels, "top1_wnid": np.array(hierarchy.wnids)[best]}
    for index, level in enumerate(hierarchy.levels):
        of_class, pictures = hierarchy.groups[index], np.arange(len(labels))
        log_p = hierarchy.log_probabilities(logits, index)
        found[f"right_{level}"] = log_p.argmax(1).numpy() == of_class[labels]
        found[f"right_{level}_of_top1"] = of_class[best] == of_class[labels]
        p = log_p.exp().numpy().astype(np.float64)
        found[f"probability_{level}"], found[f"confidence_{level}"] = p[pictures, of_class[labels]], p.max(1)
    if wup is not None:
        found["wup"] = wup[best, labels]
    return found


def guesses(
    labels: np.ndarray, of_set: np.ndarray, hierarchy: Hierarchy, wup: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """What somebody says who has seen nothing but the set's statistics: the same measures as :func:`verdicts`.

    labels: (B,) classes of the pictures; of_set: classes of the whole set, whose commonest group (per level) and
    commonest class are the answers (of both conventions), with the share of the right group as its probability and that
    of the answered one as the confidence.
    """
    commonest = np.full(len(labels), np.bincount(of_set, minlength=len(hierarchy.wnids)).argmax())
    found: dict[str, Any] = {"top1": commonest == labels, "top1_wnid": np.array(hierarchy.wnids)[commonest]}
    for index, level in enumerate(hierarchy.levels):
        of_class = hierarchy.groups[index]
        counts = np.bincount(of_class[of_set], minlength=hierarchy.K[index])
        found[f"right_{level}"] = found[f"right_{level}_of_top1"] = of_class[labels] == counts.argmax()
        found[f"probability_{level}"] = counts[of_class[labels]] / len(of_set)
        found[f"confidence_{level}"] = np.full(len(labels), counts.max() / len(of_set))
    if wup is not None:
        found["wup"] = wup[commonest, labels]
    return found
