"""What ships beside the tables, so that the whole analysis runs without embeddings, weights or pictures.

``data/hierarchies/<prefix>-clip/`` holds k-means ids of 20 seeds (seeds.csv), the Ward tree (merges.csv) and UMAP
coordinates (umap.csv); ``measures.json`` holds the figures of every table, ``data/classes/answers.csv`` what a
classifier answered.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, HierarchyError
from ..files import shipped
from .classes import classes
from .clip import embed, load_embeddings, template_set
from .grouping import cut, depth_cut, group, kmeans_runs
from .keys import are_wordnet, wordnet_of
from .measures import Measures, agreement, measure
from .tree import Hierarchy, load
from .wordnet import WordNet, wup_matrix

if TYPE_CHECKING:
    import pandas as pd

PAPER = {  # Table 1
    "CLIP, k-means": {"intra": 0.583, "inter": 0.426},
    "WordNet depth cut": {"intra": 0.472, "inter": 0.270},
}


def shipped_seeds(prefix: str = "imagenet") -> dict[int, np.ndarray]:
    """K -> (20, N) k-means ids, one row per seed, from the paper's embeddings."""
    header, rows = _table("hierarchies", f"{prefix}-clip", "seeds.csv")
    ids = np.array([row[1:] for row in rows], dtype=np.int64).T
    K = [int(column[1:].partition("_")[0]) for column in header[1:]]
    return {k: ids[[column == k for column in K]] for k in dict.fromkeys(K)}


def shipped_merges(prefix: str = "imagenet") -> np.ndarray:
    """(N-1, 3) the Ward tree of the paper's embeddings: first, second, height. See :func:`grouping.cut`."""
    return np.array(_table("hierarchies", f"{prefix}-clip", "merges.csv")[1], dtype=np.float64)


def shipped_map(prefix: str = "imagenet") -> np.ndarray:
    """(N, 2) UMAP coordinates of the paper's embeddings, rows as in the class list. Only nearness has meaning."""
    return np.array([row[1:] for row in _table("hierarchies", f"{prefix}-clip", "umap.csv")[1]], dtype=np.float64)


def shipped_answers() -> tuple[np.ndarray, np.ndarray]:
    """(truth, answers), each (500,) rows of the ImageNet class list: see data/classes/README.md for whose they are."""
    row = {wnid: k for k, wnid in enumerate(classes("imagenet").wnids)}
    pairs = np.array([[row[true], row[answer]] for true, answer in _table("classes", "answers.csv")[1]])
    return pairs[:, 0], pairs[:, 1]


def shipped_measures() -> dict[str, Any]:
    """``measures.json``: how each table was made and what was measured of it, with bootstrap intervals."""
    return json.loads(shipped("hierarchies", "measures.json").read_text())


def seeds(prefix: str, K: int, n: int, embeddings: np.ndarray | None = None) -> np.ndarray:
    """(n, N) k-means ids of seeds 0..n-1: the shipped ones, or new ones where embeddings are given.

    Raises HierarchyError if more seeds, or another K, are wanted than ship.
    """
    if embeddings is not None and n >= 1:
        return kmeans_runs(embeddings, K, range(n))
    stored = shipped_seeds(prefix)
    if K not in stored or not 1 <= n <= len(stored[K]):
        known = ", ".join(f"{len(ids)} seeds at K = {k}" for k, ids in stored.items())
        raise HierarchyError(f"{n} seeds at K = {K} do not ship: there are {known}; give embeddings to compute others.")
    return stored[K][:n]


def table1(wup: np.ndarray, runs: np.ndarray, cuts: dict[int, np.ndarray]) -> pd.DataFrame:
    """The paper's Table 1 beside ours: one row per method, with the spread over seeds that the paper does not give.

    wup: (N, N). runs: (n, N) k-means ids, one row per seed. cuts: depth -> (N,) ids.
    """
    import pandas as pd

    found = [measure(ids, wup) for ids in runs]
    rows = [_row("CLIP, k-means (paper)", PAPER["CLIP, k-means"], len(set(runs[0])))]
    each = {side: np.array([getattr(m, side) for m in found]) for side in ("intra", "inter", "gap")}
    ours = _row(f"CLIP, k-means, {len(runs)} seeds", {k: v.mean() for k, v in each.items()}, found[0].K)
    spread = {f"{side}_sd": float(v.std(ddof=1)) if len(v) > 1 else 0.0 for side, v in each.items()}
    lowest = {"intra_least": each["intra"].min(), "intra_most": each["intra"].max()}
    rows.append({**ours, **spread, **lowest, "largest": float(np.mean([m.largest for m in found]))})
    rows.append(_row("WordNet depth cut (paper)", PAPER["WordNet depth cut"], 10))
    for depth, ids in cuts.items():
        m = measure(ids, wup)
        rows.append(
            {**_row(f"WordNet, depth {depth}", {"intra": m.intra, "inter": m.inter}, m.K), "largest": m.largest}
        )
    return pd.DataFrame(rows)


def figures(wup: np.ndarray, groupings: np.ndarray) -> list[dict[str, float]]:
    """intra, inter and gap of each row of ``groupings``, (n, N) ids."""
    return [{"intra": m.intra, "inter": m.inter, "gap": m.gap} for m in (measure(ids, wup) for ids in groupings)]


def measured(names: Sequence[str]) -> pd.DataFrame:
    """The shipped figures of some tables, a row per level; ``<figure> 95 %`` is its bootstrap interval over classes."""
    import pandas as pd

    report = shipped_measures()
    rows: list[dict[str, object]] = []
    for name in names:
        if name not in report or "levels" not in report[name]:
            raise HierarchyError(
                f"measures.json has no figures of {name!r}: make it with hierlib.hierarchy.make tables."
            )
        for level, found in report[name]["levels"].items():
            row = {"hierarchy": name, "level": level, "K": found["K"]}
            rows.append(row | _with_intervals(found))
    return pd.DataFrame(rows)


def agreements(hierarchies: Sequence[Hierarchy], level: int | str = 0) -> np.ndarray:
    """(n, n) adjusted Rand index of every pair of hierarchies of the same classes, on one level."""
    ids = [hierarchy.groups[hierarchy.level(level)] for hierarchy in hierarchies]
    return np.array([[agreement(a, b) for b in ids] for a in ids])


def between(runs: np.ndarray) -> float:
    """Mean adjusted Rand index over all pairs of (n, N) groupings: how much the seeds of one model agree."""
    pairs = [agreement(a, b) for row, a in enumerate(runs) for b in runs[row + 1 :]]
    return float(np.mean(pairs)) if pairs else 1.0


def recomputed(vectors: np.ndarray | None = None) -> pd.DataFrame:
    """Every shipped table beside what comes out here and now: a row per table and level.

    vectors: (1000, D) embeddings, from which all tables of the first model are made again; None for what can be made
    again without, from the shipped seeds and merges. agreement: adjusted Rand index of the groups made and shipped, NaN
    where none were made. off_by: largest difference between the figures in measures.json and those of the shipped
    groups, measured now.
    """
    import pandas as pd

    report, rows = shipped_measures(), []
    similarities: dict[tuple[str, ...], np.ndarray] = {}
    places = {wnid: row for row, wnid in enumerate(classes("imagenet").wnids)}
    for name in (name for name, how in report.items() if isinstance(how, dict) and "levels" in how):
        tree, how = load(name), report[name]
        if tree.wnids not in similarities:
            similarities[tree.wnids] = wup_matrix(tree.wnids)
        wup, few = similarities[tree.wnids], None
        if vectors is not None and how["method"] in ("kmeans", "balanced", "ward") and "embeddings" not in how:
            few = vectors[[places[wnid] for wnid in tree.wnids]]
        made = _again(tree, how, few)
        for level, ids in zip(how["levels"], tree.groups):
            stated, now = how["levels"][level], measure(ids, wup).as_dict()
            off = max(abs(stated[figure] - now[figure]) for figure in ("intra", "inter", "entropy", "largest"))
            same = float("nan") if made is None else agreement(made[tree.level(level)], ids)
            rows.append({"hierarchy": name, "level": level, "K": stated["K"], "agreement": same, "off_by": off})
    return pd.DataFrame(rows)


def _again(tree: Hierarchy, how: dict[str, Any], vectors: np.ndarray | None) -> np.ndarray | None:
    """(L, N) groups made as the shipped ones were, without the last level; None if that takes what is not at hand."""
    prefix, K = tree.name.partition("-")[0], tree.K[:-1]
    if vectors is not None:
        separate = tree.name == f"{prefix}-clip"
        return group(vectors, tree.K, how["method"], not separate, how["seed"] or 0)
    if "depths" in how:
        return depth_cut(tree.wnids, how["depths"])
    if how["method"] == "ward":
        return np.stack([cut(shipped_merges(prefix), k) for k in K])
    return np.stack([seeds(prefix, k, 1)[0] for k in K]) if tree.name == f"{prefix}-clip" else None


def obtain(embeddings: str | Path = "", recompute: bool = False, model: str = "") -> np.ndarray | None:
    """(1000, D) class embeddings from a .npy file, or from open_clip if ``recompute``; None if neither is asked for.

    model: model, weights and templates, separated by blanks; the paper's, ``ViT-B-16 openai paper``, if empty. Raises
    what :func:`clip.load_embeddings`, :func:`clip.embed` and :func:`clip.template_set` raise.
    """
    listed = classes("imagenet")
    if embeddings:
        return load_embeddings(embeddings, len(listed.wnids))
    if not recompute:
        return None
    name, pretrained, templates = (model.split(maxsplit=2) + [""] * 3)[:3]
    return embed(listed.prompts, name or "ViT-B-16", pretrained or "openai", template_set(templates or "paper"))


def depths(wup: np.ndarray, wnids: tuple[str, ...], deepest: int = 10, wordnet: WordNet | None = None) -> pd.DataFrame:
    """One row per depth of the WordNet cut, 1..deepest: K, intra, inter, gap, entropy, largest."""
    import pandas as pd

    cuts = depth_cut(wnids, range(1, deepest + 1), wordnet)
    return pd.DataFrame([{"depth": d, **_plain(measure(ids, wup))} for d, ids in enumerate(cuts, 1)])


def along_K(wup: np.ndarray, merges: np.ndarray, K: tuple[int, ...]) -> pd.DataFrame:
    """One row per K of the Ward tree's cuts: K, intra, inter, gap, entropy, largest."""
    import pandas as pd

    return pd.DataFrame([_plain(measure(cut(merges, k), wup)) for k in K])


def similarity(hierarchy: Hierarchy) -> np.ndarray | None:
    """(N, N) Wu-Palmer of its classes, or None where its keys are no WordNet ids: a tree may have its own.

    Raises HierarchyError, naming the key, where one is no WordNet id among many that are.
    """
    return wordnet_of(hierarchy.wnids).wup_matrix(hierarchy.wnids) if are_wordnet(hierarchy.wnids) else None


def examine(
    hierarchy: Hierarchy,
    wup: np.ndarray | None = None,
    embeddings: np.ndarray | None = None,
    bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """What a codec would be trained on: one row per level, with its balance and, where wup is given, its coherence.

    smallest: classes in the smallest group. bits: entropy of the level's answer for evenly drawn classes. new_bits:
    what it adds to all coarser levels; a level of 0 new bits teaches nothing. largest: share of the largest group,
    which is also the accuracy of always naming it. entropy: of the sizes over log K. wup: (N, N) similarities, for
    intra, inter and gap. embeddings: (N, D), for the silhouette. bootstrap: resamples behind the ``... 95 %`` columns.
    """
    import pandas as pd

    rows, before = [], 0.0
    N = len(hierarchy.wnids)
    for index, (level, K) in enumerate(zip(hierarchy.levels, hierarchy.K)):
        sizes = hierarchy.sizes(index)
        _, joint = np.unique(hierarchy.groups[: index + 1], axis=1, return_counts=True)
        known, bits = _bits(joint), _bits(sizes)
        row: dict[str, object] = {"level": level, "K": K, "smallest": int(sizes.min())}
        row |= {
            "bits": bits,
            "new_bits": known - before,
            "largest": sizes.max() / N,
            "entropy": bits / np.log2(K) if K > 1 else 0.0,
        }
        if wup is not None:
            row |= _with_intervals(measure(hierarchy.groups[index], wup, embeddings, bootstrap, seed).as_dict())
        rows.append(row)
        before = known
    return pd.DataFrame(rows)


def _with_intervals(found: dict[str, Any]) -> dict[str, object]:
    """Columns of a table from :meth:`Measures.as_dict`."""
    row: dict[str, object] = {}
    for figure in ("intra", "inter", "gap", "entropy", "largest", "silhouette"):
        if found[figure] is not None or figure != "silhouette":
            row[figure] = found[figure]
        if figure in found["intervals"]:
            row[f"{figure} 95 %"] = "{:.3f} to {:.3f}".format(*found["intervals"][figure])
    return row


def _bits(counts: np.ndarray) -> float:
    share = counts / counts.sum()
    return float(-(share * np.log2(share)).sum()) + 0.0


def _plain(m: Measures) -> dict[str, object]:
    return {"K": m.K, "intra": m.intra, "inter": m.inter, "gap": m.gap, "entropy": m.entropy, "largest": m.largest}


def _row(method: str, figures: dict[str, Any], K: int) -> dict[str, Any]:
    intra, inter = float(figures["intra"]), float(figures["inter"])
    return {"method": method, "K": K, "intra": intra, "inter": inter, "gap": intra - inter}


def _table(*parts: str) -> tuple[list[str], list[list[str]]]:
    path = shipped(*parts)
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    if len(rows) < 2:
        raise DataError(f"{path} is empty: reinstall the project, or make it with python -m hierlib.hierarchy.make.")
    return rows[0], rows[1:]
