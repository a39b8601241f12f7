"""Class embeddings in the plane, by UMAP: to look at, not to measure in."""

from __future__ import annotations

import numpy as np

from .grouping import unit


def place(embeddings: np.ndarray, seed: int = 0) -> np.ndarray:
    """(N, 2) UMAP coordinates of (N, D) embeddings by cosine distance. Only nearness has meaning.

    One processor gives the same for the same seed; another may place things otherwise.
    """
    from umap import UMAP

    found = UMAP(n_neighbors=15, min_dist=0.3, metric="cosine", random_state=seed, n_jobs=1)
    return np.asarray(found.fit_transform(unit(embeddings).astype(np.float32)), dtype=np.float64)
