"""What some updates of its symbols do to the files of a few pictures: a table for notebooks, of a searching encoder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..baselines import load_weights
from ..evaluation.rate import psnr_db
from ..training import refine

if TYPE_CHECKING:
    from torch import Tensor

    from ..classifiers import Classifier
    from ..codec.model import HierCodec
    from ..hierarchy.tree import Hierarchy


def by_updates(
    weights: str | Path,
    images: Tensor,
    namer: Classifier,
    tree: Hierarchy,
    updates: Sequence[int] = (15, 60),
    share: float = 0.5,
    changes: Sequence[str] = (),
) -> Any:
    """A frame, a row for each number of updates, 0 first: seconds a picture; mean bytes and PSNR of the whole files of
    ``images`` (n, 3, H, W); and of the first ``share`` of the bytes that they have without a search, PSNR and how many
    are said to be of the same coarsest group as before coding.

    Of a peer's weights, for which no encoder here searches, only the first row, of 0 updates. changes: of the recipe,
    as ``refine.load`` takes them.
    """
    import pandas as pd

    plain = load_weights(str(weights))
    before = tree.log_probabilities(namer(images), 0).argmax(1)
    rows: list[dict[str, float]] = []
    budgets: list[int] = []
    for count in (0, *updates) if plain.method == refine.RefiningCodec.method else (0,):
        codec = refine.load(weights, refine.Search(steps=count), changes) if count else plain
        started = time.perf_counter()
        streams = codec.encode_batch(images)
        seconds = (time.perf_counter() - started) / len(images)
        budgets = budgets or [max(1, round(share * len(stream))) for stream in streams]
        cut = _shown(plain, [stream[:n] for stream, n in zip(streams, budgets, strict=True)])
        rows.append(
            {
                "updates": count,
                "s_a_picture": seconds,
                "bytes": sum(map(len, streams)) / len(streams),
                "psnr_db": psnr_db(_shown(plain, streams), images).mean().item(),
                "cut_bytes": sum(budgets) / len(budgets),
                "cut_psnr_db": psnr_db(cut, images).mean().item(),
                "cut_says_the_same": (tree.log_probabilities(namer(cut), 0).argmax(1) == before).float().mean().item(),
            }
        )
    return pd.DataFrame(rows)


def _shown(codec: HierCodec, prefixes: Sequence[bytes]) -> Tensor:
    import torch

    return torch.stack([codec.decode(prefix).image for prefix in prefixes])
