"""WordNet as far as the classes need it: depth, lowest common ancestor, Wu-Palmer similarity (paper Sec. 3, Eq. 1).

WordNet is no tree: 304 of the 1000 ImageNet classes have several paths to the root. The conventions here are NLTK's, so
that published Wu-Palmer figures can be compared digit by digit:

* max_depth, min_depth: edges on the longest, the shortest path to the root (``entity`` has 0);
* LCA: of the common ancestors (a synset is its own) the one of greatest *min_depth*, ties by synset name;
* depth(LCA) = max_depth + 1; depth(c) = depth(LCA) + the shortest way from c to the LCA: it depends on the pair.

Nothing here iterates over a set of strings: answers do not change with PYTHONHASHSEED. A WordNet id ("wnid") is a
part of speech and an offset into WordNet 3.0, ``n02084071``; only nouns are read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from ..errors import HierarchyError
from ..files import shipped


@dataclass(frozen=True)
class Synset:
    """One meaning. name: NLTK's (``dog.n.01``). hypernyms: wnids of what it is a kind, or an instance, of."""

    wnid: str
    name: str
    lemmas: tuple[str, ...]
    hypernyms: tuple[str, ...]


class WordNet:
    """A set of synsets closed under hypernymy. Raises HierarchyError if a hypernym is missing, or leads in a circle."""

    def __init__(self, synsets: Iterable[Synset], source: str = "these synsets") -> None:
        self.synsets: dict[str, Synset] = {synset.wnid: synset for synset in synsets}
        self.source = source
        self._distances: dict[str, dict[str, int]] = {}
        for synset in self.synsets.values():
            lost = [wnid for wnid in synset.hypernyms if wnid not in self.synsets]
            if lost:
                raise HierarchyError(
                    f"{source}: {synset.name} is a kind of {lost[0]}, which is missing: use a whole WordNet."
                )

    def __len__(self) -> int:
        return len(self.synsets)

    def __contains__(self, wnid: str) -> bool:
        return wnid in self.synsets

    def synset(self, wnid: str) -> Synset:
        """Raises HierarchyError for an id that is not in this WordNet."""
        if wnid not in self.synsets:
            raise HierarchyError(
                f"{wnid!r} is no WordNet id known to {self.source}: expected one like n02084071. For nouns beyond "
                "ImageNet's 1000 classes pass wordnet=read(folder) with Debian's /usr/share/wordnet or NLTK's "
                "corpora/wordnet."
            )
        return self.synsets[wnid]

    def distances(self, wnid: str) -> Mapping[str, int]:
        """Every ancestor of a synset, itself included, and the edges of the shortest way up to it; nearest first."""
        if wnid not in self._distances:
            self.synset(wnid)
            found = {wnid: 0}
            queue = [wnid]
            for current in queue:  # breadth first: the first visit is the shortest
                for hypernym in self.synsets[current].hypernyms:
                    if hypernym not in found:
                        found[hypernym] = found[current] + 1
                        queue.append(hypernym)
            self._distances[wnid] = found
        return self._distances[wnid]

    @cached_property
    def _depths(self) -> tuple[dict[str, int], dict[str, int]]:
        """(max_depth, min_depth) of every synset, by relaxing from the roots downwards."""
        hyponyms: dict[str, list[str]] = {wnid: [] for wnid in self.synsets}
        waiting = {wnid: len(synset.hypernyms) for wnid, synset in self.synsets.items()}
        for wnid, synset in self.synsets.items():
            for hypernym in synset.hypernyms:
                hyponyms[hypernym].append(wnid)
        ready = [wnid for wnid, count in waiting.items() if count == 0]
        longest, shortest = dict.fromkeys(ready, 0), dict.fromkeys(ready, 0)
        for wnid in ready:
            for hyponym in hyponyms[wnid]:
                longest[hyponym] = max(longest.get(hyponym, 0), longest[wnid] + 1)
                shortest[hyponym] = min(shortest.get(hyponym, len(self)), shortest[wnid] + 1)
                waiting[hyponym] -= 1
                if waiting[hyponym] == 0:
                    ready.append(hyponym)
        if len(ready) < len(self):
            stuck = next(wnid for wnid, count in waiting.items() if count)
            raise HierarchyError(f"{self.source}: the hypernyms of {self.synsets[stuck].name} lead back to it.")
        return longest, shortest

    def max_depth(self, wnid: str) -> int:
        """Edges on the longest hypernym path to the root."""
        return self._depths[0][self.synset(wnid).wnid]

    def min_depth(self, wnid: str) -> int:
        """Edges on the shortest hypernym path to the root."""
        return self._depths[1][self.synset(wnid).wnid]

    def lca(self, a: str, b: str) -> str:
        """Lowest common ancestor: greatest min_depth, then one of the two themselves, then the first by synset name.

        Raises HierarchyError if the two share none.
        """
        of_b = self.distances(b)
        if a == b:
            return a  # by min_depth an ancestor can lie deeper than its own child: Wu-Palmer of c with c would not be 1
        common = [wnid for wnid in self.distances(a) if wnid in of_b]
        if not common:
            raise HierarchyError(f"{self.synset(a).name} and {self.synset(b).name} share no ancestor in {self.source}.")
        return min(common, key=lambda wnid: (-self.min_depth(wnid), wnid not in (a, b), self.synsets[wnid].name))

    def distance(self, a: str, b: str) -> int:
        """Edges on the shortest way from a up to a common ancestor and down to b."""
        of_b = self.distances(b)
        return min(up + of_b[wnid] for wnid, up in self.distances(a).items() if wnid in of_b)

    def wup(self, a: str, b: str) -> float:
        """Wu-Palmer similarity in (0, 1], Eq. 1: 2 depth(LCA) / (depth(a) + depth(b)); 1 for a synset with itself."""
        lca = self.lca(a, b)
        depth = self.max_depth(lca) + 1
        return 2 * depth / (self.distance(a, lca) + self.distance(b, lca) + 2 * depth)

    def wup_matrix(self, wnids: Sequence[str]) -> np.ndarray:
        """(N, N) float64 of :meth:`wup` for all pairs: symmetric, diagonal 1. About a second for 1000 classes."""
        above = [list(self.distances(wnid)) for wnid in wnids]
        order = sorted(
            {w for ancestors in above for w in ancestors}, key=lambda w: (-self.min_depth(w), self.synsets[w].name)
        )
        column = {wnid: k for k, wnid in enumerate(order)}  # an LCA is the common ancestor of the lowest column
        up = np.full((len(wnids), len(order)), np.inf)  # (N, S) edges from class to ancestor
        for row, wnid in enumerate(wnids):
            for ancestor, edges in self.distances(wnid).items():
                up[row, column[ancestor]] = edges
        way = np.stack([self._ways(up, column, ancestor) for ancestor in order], 1)  # (N, S) edges by any route
        depth = np.array([self.max_depth(wnid) + 1 for wnid in order])
        level = np.array([self.min_depth(wnid) for wnid in order])
        own = np.array([column[wnid] for wnid in wnids])
        matrix = np.empty((len(wnids), len(wnids)))
        for row, ancestors in enumerate(above):
            columns = np.sort([column[wnid] for wnid in ancestors])
            shared = np.isfinite(up[:, columns])  # (N, ancestors of this row)
            if not shared.any(1).all():
                self.lca(wnids[row], wnids[int(np.argmin(shared.any(1)))])  # raises, naming both
            lca = columns[shared.argmax(1)]
            for operand in (np.full(len(wnids), own[row]), own):  # prefer one of the two among equals, as lca() does
                equal = np.isfinite(up[row, operand]) & np.isfinite(up[np.arange(len(wnids)), operand])
                lca = np.where(equal & (level[operand] == level[lca]), operand, lca)
            lca = np.where(own == own[row], own[row], lca)
            edges = way[row, lca] + way[np.arange(len(wnids)), lca]
            matrix[row] = 2 * depth[lca] / (edges + 2 * depth[lca])
        return matrix

    def _ways(self, up: np.ndarray, column: Mapping[str, int], target: str) -> np.ndarray:
        of_target = self.distances(target)
        columns = [column[wnid] for wnid in of_target]
        return (up[:, columns] + np.array(list(of_target.values()))).min(1)

    def depth_cut(self, wnids: Sequence[str], depth: int) -> list[str]:
        """The paper's depth cut: each class's ancestor of max_depth ``depth`` (itself if it lies higher).

        27 ImageNet classes have several ancestors of depth 3: the first by synset name wins, which leaves 10 groups.
        Raises HierarchyError for a negative depth.
        """
        if depth < 0:
            raise HierarchyError(f"a depth cut at {depth} does not exist: the root has depth 0.")
        cut = []
        for wnid in wnids:
            at_depth = [a for a in self.distances(wnid) if self.max_depth(a) == depth]
            cut.append(min(at_depth, key=lambda a: self.synsets[a].name, default=wnid))
        return cut

    def closure(self, wnids: Iterable[str]) -> WordNet:
        """The smallest WordNet that holds these synsets and everything above them, sorted by id."""
        keep = sorted({ancestor for wnid in wnids for ancestor in self.distances(wnid)})
        return WordNet((self.synsets[wnid] for wnid in keep), self.source)

    def to_csv(self) -> str:
        """Columns ``wnid,synset,lemmas,hypernyms``; lists are separated by blanks (WordNet writes _ inside a lemma)."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["wnid", "synset", "lemmas", "hypernyms"])
        for s in self.synsets.values():
            writer.writerow([s.wnid, s.name, " ".join(s.lemmas), " ".join(s.hypernyms)])
        return text.getvalue()


@lru_cache(maxsize=1)
def shipped_wordnet() -> WordNet:
    """The extract in ``data/classes/wordnet.csv``: the 1860 synsets at and above the 1000 ImageNet-1K classes."""
    return read(shipped("classes", "wordnet.csv"))


def read(path: str | Path | None = None) -> WordNet:
    """A WordNet from an extract (.csv), a folder with data.noun and index.noun (Debian's, NLTK's), or NLTK's zip.

    path: None for the WordNet that is installed on this machine: NLTK's corpus, or else Debian's wordnet-base.
    Raises HierarchyError if there is none of these at ``path``.
    """
    from .wordnet_files import installed, read_wordnet

    return read_wordnet(installed() if path is None else Path(path))


def wup_matrix(wnids: Sequence[str], wordnet: WordNet | None = None) -> np.ndarray:
    """(N, N) float64 Wu-Palmer similarities by Eq. 1, symmetric with diagonal 1, from the shipped extract by default.

    Raises HierarchyError for an id that WordNet does not know.
    """
    return (wordnet or shipped_wordnet()).wup_matrix(wnids)
