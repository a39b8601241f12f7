"""Tables of measured results, and the folders they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..codec.protocol import ProgressiveCodec, block_ends
from .latents import received_whole

if TYPE_CHECKING:
    from ..evaluation import Results


def measured(*folders: str | Path) -> dict[str, list[Results]]:
    """All results saved in ``folders``, by their set of pictures; learned codecs first in each, then JPEG 2000.

    Results share an entry, and so a figure, if pictures and hierarchy are the same. Files that are no results, such as
    a card beside them, are passed over by their name: only ``*.parquet`` and ``*.results.json`` are read.
    """
    from ..evaluation import Results

    found: dict[str, list[Results]] = {}
    for folder in map(Path, folders):
        for path in sorted([*folder.glob("*.parquet"), *folder.glob("*.results.json")]):
            result = Results.load(path)
            pictures, tree = result.meta["pictures"], result.meta["hierarchy"]["name"]
            name = f"{pictures['name'].partition(':')[0]}-{pictures['n']}-{tree}"
            found.setdefault(name, []).append(result)
    for group in found.values():
        group.sort(key=lambda result: _rank(result.meta["codec"]["name"]))
    return found


def _rank(codec: str) -> tuple[bool, int, bool, bool, str]:
    """Sorts codecs as figures name them, so that each keeps its colour: ours (shipped, then trained here), the learned
    peers, then the classical.
    """
    from .. import baselines
    from ..codec.weights import known

    order = list(baselines.KNOWN)
    place = order.index(codec) if codec in order else len(order)
    return baselines.classical(codec), place, baselines.peer(codec), codec not in known(), codec


def figures_of(found: dict[str, list[Results]], most: int = 8) -> dict[str, list[Results]]:
    """Of results by their set of pictures (``measured``), those that share a figure, by its name.

    A set's are together while they are at most ``most``. Else ours stands beside the learned peers as published
    (``<set>_learned``), beside the peers trained with the task loss (``_task``), and beside classical codecs and whole
    files of other networks (``_other``).
    """
    drawn: dict[str, list[Results]] = {}
    for name, group in found.items():
        if len(group) <= most:
            drawn[name] = group
            continue
        kinds = [_kinds(result.meta["codec"]["name"]) for result in group]
        for kind in ("learned", "task", "other"):
            if any(kind in of for of in kinds):
                drawn[f"{name}_{kind}"] = [r for r, of in zip(group, kinds, strict=True) if kind in of or not of]
    return drawn


def _kinds(codec: str) -> tuple[str, ...]:
    """Whose figures a codec is in; of ours nothing: it is in all, but for what was trained without the task loss."""
    from .. import baselines

    if baselines.classical(codec):
        return ("other",)
    if not baselines.peer(codec) and codec not in baselines.PLAIN.values():
        return ()
    if codec.endswith(baselines.TASK):
        return ("task",)
    return ("learned", "task") if codec == "picm" else ("learned",)  # it is published with the task loss


def same_bytes(results: Sequence[Results], measure: str, classifier: str | None = None) -> Any:
    """A frame of means: a row for each budget in bytes, one for the originals and, of ``right_<level>``, one for always
    naming the largest group; a column for each codec.

    A codec that cannot decode all pictures at a budget carries the number that it can, "0.41 (12 of 48)"; where it has
    no file so small for any of them, the cell says that.
    """
    import pandas as pd

    columns = {}
    for result in results:
        table = result.table()
        table = table[
            (table["classifier"] == (classifier or result.classifiers[0])) & table["kind"].isin(("budget", "original"))
        ]
        cells = {
            "originals" if row["kind"] == "original" else f"{row['budget_bytes']:,} B": _cell(row, measure)
            for row in table.to_dict("records")
        }
        level = measure.removeprefix("right_").removesuffix("_of_top1")
        if level in result.majority:
            cells["largest group"] = f"{result.majority[level]:.3f}"
        columns[result.meta["codec"]["name"]] = cells
    return pd.DataFrame(columns)


def _cell(row: dict[str, Any], measure: str) -> str:
    if row["n_decodable"] == 0:
        return "no file so small"
    survivors = "" if row["n_decodable"] == row["n"] else f" ({row['n_decodable']} of {row['n']})"
    return f"{row[measure]:.3f}{survivors}"


def by_classifier(results: Sequence[Results], measure: str) -> Any:
    """``same_bytes`` of each classifier that all results share, one below the other; its name is the first index."""
    import pandas as pd

    from ..evaluation.results import judges_of_all

    each = {name: same_bytes(results, measure, name) for name in judges_of_all(results)}
    return pd.concat(each, names=["classifier", "at"])


def overview(found: dict[str, list[Results]]) -> Any:
    """A frame, one row for each result: pictures, codec, classifiers, number of budgets and the weights' digest."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "pictures": result.meta["pictures"]["name"],
                "n": result.meta["pictures"]["n"],
                "hierarchy": result.meta["hierarchy"]["name"],
                "codec": result.meta["codec"]["name"],
                "classifiers": ", ".join(result.classifiers),
                "budgets": len(result.meta["budgets"]),
            }
            for group in found.values()
            for result in group
        ]
    )


def byte_parts(codec: ProgressiveCodec, stream: bytes, received: Any = None) -> dict[str, int]:
    """Where the bytes of a stream went: header and hyper-latent (where the codec tells), each level, and what follows.

    The parts add up to the whole stream. received: the codec's receiver, if one was fed with the stream already.
    """
    received = received_whole(codec, stream) if received is None else received
    blocks, header = getattr(received, "blocks", None), getattr(received, "header", None)
    parts = {"header": header.length_bytes, "z": blocks[0].begun_bytes} if blocks and header else {}
    if not parts and hasattr(codec, "info"):  # a codec without a receiver may still say it
        told = codec.info(stream)
        parts = {"header": told["header_bytes"], "z": told["z_bytes"]}
    for level, end in enumerate(block_ends(codec, stream), 1):
        parts[f"block {level}"] = end - sum(parts.values())
    rest = len(stream) - sum(parts.values())
    return {**parts, "trailer": rest} if rest else parts
