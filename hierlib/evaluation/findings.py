"""What this project finds for a claim of the paper: functions over shipped tables and measured results, by name.

A claim names one with its arguments, ``gain right_coarse imagenet-val227 mobilenet_v2_1.0 256 2048``. Each gives a
Found, or raises NotMeasured with what is missing. None of them knows what the paper says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import HierlibError
from .ablations import difference, frame, read_curves
from .curves import bd_rate, bootstrap, by_picture, means_over_log_bytes
from .measure import ours_for

if TYPE_CHECKING:
    from .results import Results

SEEDS, K = 20, 10
KMEANS = "k-means seeds"
RESAMPLES = 400  # of the pictures, for the interval of a BD-rate
FLOOR = "jpeg2000"  # whom ours is compared with where the paper's peers are not at hand


class NotMeasured(HierlibError):
    """A finding whose results are not there; the message says which."""


@dataclass(frozen=True)
class Found:
    """value: a number (NaN for a text); low, high: its interval, NaN if it has none; data: what it rests on."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    text: str = ""
    data: str = ""
    n: int = 0


@dataclass
class Shelf:
    """What findings may look at: measured results, and the folder of the ablations' curves. codec: whose claims;
    if empty, of ours that is meant for each set of pictures.
    """

    results: Sequence[Results]
    ablations: Path | None = None
    codec: str = ""
    _gains: dict[str, Found] = field(default_factory=dict)

    def of(self, codec: str, pictures: str, classifier: str) -> Results:
        """The results of a codec on pictures with a classifier. Raises NotMeasured if there are none."""
        for result in self.results:
            name, on = result.meta["codec"]["name"], result.meta["pictures"]["name"]
            if (name, on) == (codec, pictures) and classifier in result.classifiers:
                return result
        raise NotMeasured(f"no results of {codec} on {pictures} with {classifier}")

    def ours(self, pictures: str) -> str:
        """Whose claims they are on these pictures."""
        return self.codec or ours_for(pictures)

    @cached_property
    def wup(self) -> np.ndarray:
        """(1000, 1000) Wu-Palmer similarities of ImageNet's classes."""
        from ..hierarchy.classes import classes
        from ..hierarchy.wordnet import wup_matrix

        return wup_matrix(classes("imagenet").wnids)

    @cached_property
    def seeds(self) -> dict[str, np.ndarray]:
        """Figures of the shipped k-means runs at K = 10, (SEEDS,) each: intra, inter, gap, entropy."""
        from ..hierarchy.laboratory import seeds
        from ..hierarchy.measures import measure

        made = [measure(groups, self.wup) for groups in seeds("imagenet", K, SEEDS)]
        return {name: np.array([_figure(m, name) for m in made]) for name in ("intra", "inter", "gap", "entropy")}

    @cached_property
    def cut(self) -> Any:
        """The WordNet depth cut at K = 10, as a Hierarchy."""
        from ..hierarchy import load

        return load("imagenet-wordnet")


def find(measure: str, shelf: Shelf) -> Found:
    """The finding that ``measure`` names. Raises NotMeasured, or HierlibError for a name that nobody here has."""
    name, *arguments = measure.split()
    if name not in FINDINGS:
        raise HierlibError(f"No finding is called {name!r}; there are {', '.join(FINDINGS)}.")
    return FINDINGS[name](shelf, *arguments)


def _figure(measured: Any, name: str) -> float:
    return measured.intra - measured.inter if name == "gap" else float(getattr(measured, name))


def _seed(shelf: Shelf, figure: str) -> Found:
    """A figure of the CLIP groups: mean over the seeds of k-means, least to most."""
    values = shelf.seeds[figure]
    return _over_seeds(values, "imagenet-clip", KMEANS)


def _over_seeds(values: Sequence[float] | np.ndarray, data: str, seeds: str = "seeds") -> Found:
    """Mean over seeds, least to most; one seed has no interval. seeds: what they are of, for the reader."""
    n = len(values)
    if n == 1:
        return Found(float(values[0]), data=f"{data}, one seed", n=1)
    return Found(float(np.mean(values)), min(values), max(values), data=f"{data}, {n} {seeds}", n=n)


def _depth_cut(shelf: Shelf, figure: str) -> Found:
    """A figure of the WordNet depth cut, which has no seed."""
    from ..hierarchy.measures import measure

    return Found(_figure(measure(shelf.cut.groups[0], shelf.wup), figure), data="imagenet-wordnet, depth 3")


def _above_clip(shelf: Shelf, figure: str) -> Found:
    """The depth cut's figure less that of each CLIP seed."""
    values = _depth_cut(shelf, figure).value - shelf.seeds[figure]
    return _over_seeds(values, "imagenet-wordnet less imagenet-clip", KMEANS)


def _below_clip(shelf: Shelf, figure: str) -> Found:
    """Each CLIP seed's figure less the depth cut's."""
    values = shelf.seeds[figure] - _depth_cut(shelf, figure).value
    return _over_seeds(values, "imagenet-clip less imagenet-wordnet", KMEANS)


def _over_half(shelf: Shelf) -> Found:
    """Share of the depth cut's classes in its largest group, less one half."""
    sizes = shelf.cut.sizes(0)
    return Found(sizes.max() / sizes.sum() - 0.5, data="imagenet-wordnet, depth 3", n=int(sizes.sum()))


def _largest_group(shelf: Shelf) -> Found:
    """The name of the largest group of the depth cut."""
    name = shelf.cut.group_names[0][int(shelf.cut.sizes(0).argmax())]
    return Found(float("nan"), text=name, data="imagenet-wordnet, depth 3")


def _named_groups(shelf: Shelf, *wanted: str) -> Found:
    """Which of the wanted names a coarse CLIP group carries."""
    from ..hierarchy import load

    names = set(load("imagenet-clip").group_names[0])
    return Found(float("nan"), text=", ".join(w for w in wanted if w in names) or "none of them", data="imagenet-clip")


def _similarity(shelf: Shelf, one: str, other: str) -> Found:
    """Wu-Palmer similarity of two classes (Eq. 1)."""
    from ..hierarchy.wordnet import shipped_wordnet

    return Found(shipped_wordnet().wup(one, other), data="WordNet 3.0")


def _gain(shelf: Shelf, measure: str, pictures: str, classifier: str, low: str, high: str, rival: str = FLOOR) -> Found:
    """Mean over log-bytes from ``low`` to ``high`` of ours less the rival's (the classical floor's), paired by picture,
    95 %.
    """
    mine, key = shelf.ours(pictures), f"{measure} {pictures} {classifier} {low} {high} {rival}"
    if key not in shelf._gains:
        ours, theirs = (shelf.of(codec, pictures, classifier) for codec in (mine, rival))
        if rival == FLOOR and not theirs.meta["codec"].get("colour_transform"):
            raise NotMeasured(f"the results of {FLOOR} on {pictures} were made without its colour transform")
        one, other = (_by_budget(results, measure, classifier, int(low), int(high)) for results in (ours, theirs))
        budgets = sorted(set(one.columns) & set(other.columns))
        if not budgets or ours.meta["pictures"] != theirs.meta["pictures"]:
            raise NotMeasured(f"{mine} and {rival} share no budget from {low} to {high} bytes on {pictures}")
        found = bootstrap(means_over_log_bytes(one[budgets] - other[budgets]).to_numpy())
        spoken = f"{budgets[0]} B" if len(budgets) == 1 else f"{budgets[0]} to {budgets[-1]} B"
        data = f"{mine} against {rival}, {pictures}, {classifier}, {spoken}"
        shelf._gains[key] = Found(found.mean, found.low, found.high, data=data, n=found.n)
    return shelf._gains[key]


def _by_budget(results: Results, measure: str, classifier: str, low: int, high: int) -> Any:
    """A frame (pictures, budgets) of a measure."""
    if measure not in results.of(classifier, "budget"):
        raise NotMeasured(f"{results.meta['codec']['name']} on {results.meta['pictures']['name']} without {measure}")
    found = by_picture(results, measure, classifier)
    return found[[budget for budget in found.columns if low <= budget <= high]]


def _whole(shelf: Shelf, measure: str, pictures: str, classifier: str) -> Found:
    """Mean of a measure over whole files of ours, 95 % by bootstrap."""
    mine = shelf.ours(pictures)
    rows = shelf.of(mine, pictures, classifier).of(classifier, "whole")
    found = bootstrap(rows[measure].astype(float).to_numpy())
    data = f"{mine}, {pictures}, {classifier}, whole files of {rows['bytes'].mean():.0f} B"
    return Found(found.mean, found.low, found.high, data=data, n=found.n)


def _whole_percent(shelf: Shelf, measure: str, pictures: str, classifier: str) -> Found:
    """The same in percent."""
    found = _whole(shelf, measure, pictures, classifier)
    return replace(found, value=100 * found.value, low=100 * found.low, high=100 * found.high)


def _arms(shelf: Shelf, *arms: str) -> tuple[list[list[Any]], dict[str, Any]]:
    """For each seed that all of the arms were trained with, their curves as frames; and what one file says of itself.
    Raises NotMeasured if there is none.
    """
    found = read_curves(shelf.ablations) if shelf.ablations is not None else {}
    of = [{seed: content for (name, seed), content in found.items() if name == arm} for arm in arms]
    for arm, contents in zip(arms, of, strict=True):
        if not contents:
            raise NotMeasured(f"no curve of the arm {arm}")
    seeds = sorted(set.intersection(*(set(each) for each in of)))
    if not seeds:
        raise NotMeasured(f"no seed that {', '.join(arms)} were all trained with")
    return [[frame(each[seed]) for each in of] for seed in seeds], of[0][seeds[0]]


def _bd_rate(shelf: Shelf, test: str, anchor: str, measure: str) -> Found:
    """BD-rate in percent of one arm against another, seed against the same seed."""
    paired, about = _arms(shelf, anchor, test)
    values = [difference(before, after, measure) for before, after in paired]
    return _over_seeds(values, f"{test} against {anchor}, {about['pictures']}, {about['steps']} steps, {measure}")


def _peer_rate(shelf: Shelf, test: str, anchor: str, pictures: str, measure: str, classifier: str) -> Found:
    """BD-rate in percent of one measured codec against another; least and most of 95 % of resampled sets of pictures.

    The budgets from where every picture has a file of both.
    """
    of = [shelf.of(codec, pictures, classifier) for codec in (anchor, test)]
    if of[0].meta["pictures"] != of[1].meta["pictures"]:
        raise NotMeasured(f"{test} and {anchor} were measured on different pictures of {pictures}")
    frames = [[by_picture(r, column, classifier) for column in ("bytes", measure)] for r in of]
    files = [by_picture(r, "decodable", classifier).all() for r in of]
    budgets = [b for b in frames[0][0].columns if all(b in f.index and f[b] for f in files)]
    if len(budgets) < 2:
        raise NotMeasured(f"{test} and {anchor} share fewer than two budgets at which every picture has a file")
    values = [[frame[budgets].to_numpy(float) for frame in pair] for pair in frames]

    def percent(chosen: np.ndarray) -> float:
        return bd_rate(*(column[chosen].mean(0) for pair in values for column in pair)).percent

    n, draw = len(values[0][0]), np.random.default_rng(0)
    tried = [percent(draw.integers(0, n, n)) for _ in range(RESAMPLES)]
    low, high = np.nanpercentile(tried, [2.5, 97.5])
    data = f"{test} against {anchor}, {pictures}, {measure}, {budgets[0]} to {budgets[-1]} B"
    return Found(percent(np.arange(n)), float(low), float(high), data=data, n=n)


def _peer_saving(shelf: Shelf, test: str, anchor: str, pictures: str, measure: str, classifier: str) -> Found:
    """Percent of bytes that one measured codec saves against another."""
    return _turned(_peer_rate(shelf, test, anchor, pictures, measure, classifier))


def _saving(shelf: Shelf, test: str, anchor: str, measure: str) -> Found:
    """Percent of bytes that one arm saves against another."""
    return _turned(_bd_rate(shelf, test, anchor, measure))


def _turned(found: Found) -> Found:
    """With its sign turned: a saving in place of a rate."""
    return replace(found, value=-found.value, low=-found.high, high=-found.low)


def _best_split(shelf: Shelf, measure: str, chosen: str, *others: str) -> Found:
    """Least lead of an arm's mean of a measure, over log-bytes, on those of the other arms."""
    from .curves import mean_over_log_bytes

    leads = []
    for curves in _arms(shelf, chosen, *others)[0]:
        means = [mean_over_log_bytes(curve["bytes"].to_numpy(), curve[measure].to_numpy()) for curve in curves]
        leads.append(means[0] - max(means[1:]))
    return _over_seeds(leads, f"{chosen} against {', '.join(others)}, {measure}")


FINDINGS: dict[str, Callable[..., Found]] = {
    "seeds": _seed,
    "depth_cut": _depth_cut,
    "above_clip": _above_clip,
    "below_clip": _below_clip,
    "over_half": _over_half,
    "largest_group": _largest_group,
    "named_groups": _named_groups,
    "similarity": _similarity,
    "gain": _gain,
    "whole": _whole,
    "whole_percent": _whole_percent,
    "bd_rate": _bd_rate,
    "saving": _saving,
    "peer_rate": _peer_rate,
    "peer_saving": _peer_saving,
    "best_split": _best_split,
}
