"""Two codecs, or a codec and a ceiling, as tables: one block for each classifier or codec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..evaluation import bd_rate, paired_difference, price_of_progressiveness
from ..evaluation.overview import mean_accuracies
from ..evaluation.results import judges_of_all
from ..evaluation.traits import traits

if TYPE_CHECKING:
    from torch import Tensor

    from ..codec.protocol import ProgressiveCodec
    from ..evaluation import Results


def named(results: Sequence[Results], codec: str) -> Results:
    """The results of a codec. Raises DataError, with the names there are, if it is not among them."""
    for result in results:
        if result.meta["codec"]["name"] == codec:
            return result
    names = ", ".join(result.meta["codec"]["name"] for result in results)
    raise DataError(f"No results are of the codec {codec!r}; there are {names or 'none'}.")


def differences(rival: Results, ours: Results, measure: str, seed: int = 0) -> Any:
    """``paired_difference`` of ours less the rival's by each classifier; its name is the first index."""
    import pandas as pd

    each = {name: paired_difference(rival, ours, measure, name, seed=seed) for name in judges_of_all([ours, rival])}
    return pd.concat(each, names=["classifier", "row"]).droplevel("row")


def bd_rates(rival: Results, ours: Results, measure: str) -> Any:
    """A row for each classifier: percent of bytes ours needs more at equal values, the overlap, points of each."""
    import pandas as pd

    rows = {
        name: vars(bd_rate(*(x for r in (rival, ours) for x in r.curve(measure, name))))
        for name in judges_of_all([ours, rival])
    }
    frame = pd.DataFrame(rows).T
    frame["n"] = [" and ".join(map(str, n)) for n in frame["n"]]
    return frame.rename_axis("classifier")


def prices(results: Sequence[Results], ceiling: str, measure: str = "psnr_db") -> Any:
    """The price of progressiveness of each codec but the ceiling, against it; the codec's name is the index."""
    import pandas as pd

    single = [named(results, ceiling)]
    others = {r.meta["codec"]["name"]: r for r in results if r.meta["codec"]["name"] != ceiling}
    each = {name: price_of_progressiveness(r, single, measure) for name, r in others.items()}
    return pd.concat(each, names=["codec", "row"]).droplevel("row")


def at_a_glance(codecs: Sequence[ProgressiveCodec], results: Sequence[Results], pictures: Sequence[Tensor]) -> Any:
    """A row for each codec: what it is like (``traits``, with times over the first one's on ``pictures``, of equal
    sides), and by the first classifier mean accuracy over log-bytes at each level, with the half of its 95 % interval.
    """
    import pandas as pd

    side = pictures[0].shape[-1]
    frame = traits(codecs, {side: pictures}, repeats=2).set_index("codec").drop(columns="machine")
    for what in ("encode", "decode"):
        spent = frame.pop(f"{what}_{side}_s")
        frame[f"{what}, times {codecs[0].name}"] = (spent / spent.iloc[0]).round(3)
    means = pd.concat([mean_accuracies(r, r.classifiers[:1]) for r in results])
    for level, of_level in means.groupby("level", sort=False):
        of_level = of_level.set_index("codec")
        half = (of_level["high"] - of_level["low"]) / 2
        frame[level] = [f"{a:.3f} +- {h:.3f}" for a, h in zip(of_level["accuracy"][frame.index], half[frame.index])]
    return frame
