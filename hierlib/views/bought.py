"""What did the last bytes buy? The change of the picture, the latents that came, the change of mind at each level."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codec.protocol import Decoded, ProgressiveCodec
from ..errors import BudgetError
from ..evaluation.confidence import log_odds
from .crumbs import check_fit
from .ladder import decode_cuts, frame_bytes
from .latents import arrival_maps, received_whole
from .latest import LatestWins
from .palette import FAINT, GREEN, VERMILION, level_colour
from .sheet import sheet, styled

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure
    from torch import Tensor

    from ..classifiers import Classifier
    from ..hierarchy.tree import Hierarchy


@dataclass(frozen=True)
class Mind:
    """One level before and after: answers with probabilities, and the log-odds of the later answer then and now."""

    level: str
    before: str
    after: str
    probability: float
    log_odds_before: float
    log_odds_after: float

    @property
    def change(self) -> float:
        """Nats by which the later answer became likelier (or, below zero, less likely)."""
        return self.log_odds_after - self.log_odds_before


@dataclass(frozen=True)
class Bought:
    """From ``low`` to ``high`` bytes of one stream.

    new: (levels, h, w), how many latents of each block came at each place; None for a codec that does not tell.
    """

    low: int
    high: int
    before: Decoded
    after: Decoded
    new: np.ndarray | None
    minds: tuple[Mind, ...]

    @property
    def difference(self) -> Tensor:
        """(3, H, W) in [0, 1]: mid-grey where nothing changed, four times as strong as it is."""
        return (0.5 + 4 * (self.after.image - self.before.image)).clamp(0, 1)

    @property
    def change_db(self) -> float:
        """How much the picture changed, as PSNR between before and after: low is much; 100 where nothing did."""
        error = float(((self.after.image - self.before.image) ** 2).mean())
        return min(100.0, -10 * float(np.log10(error))) if error > 0 else 100.0

    def table(self) -> Any:
        """A pandas frame: a row for each semantic level."""
        import pandas as pd

        rows = [
            {
                "level": mind.level,
                f"at {self.low:,} B": mind.before,
                f"at {self.high:,} B": mind.after,
                "probability": round(mind.probability, 3),
                "log-odds, nats": round(mind.change, 2),
            }
            for mind in self.minds
        ]
        return pd.DataFrame(rows)

    def latents(self) -> Any:
        """A pandas frame: a row for each block, how many latents came and at how many places. Empty if not known."""
        import pandas as pd

        if self.new is None:
            return pd.DataFrame(columns=["block", "new_latents", "places"])
        rows = [(level, int(new.sum()), int((new > 0).sum())) for level, new in enumerate(self.new, 1)]
        return pd.DataFrame(rows, columns=["block", "new_latents", "places"])


def bought(
    codec: ProgressiveCodec,
    stream: bytes,
    hierarchy: Hierarchy,
    classifier: Classifier,
    *,
    n: int,
    last: int = 100,
) -> Bought:
    """What bytes ``n - last`` to ``n`` of ``stream`` changed.

    Log-odds are of the group that is answered at ``n`` bytes, by the classifier's own probabilities. Raises BudgetError
    unless 0 <= n <= its length and last >= 1.
    """
    if not 0 <= n <= len(stream) or last < 1:
        raise BudgetError(f"The last {last} of {n} bytes: give 0 to {len(stream):,} bytes, and 1 or more as the last.")
    check_fit(hierarchy, classifier)
    low = max(0, n - last)
    received = received_whole(codec, stream)
    cuts, new = [low, n], None
    before, after = decode_cuts(codec, stream, cuts) if received is None else map(received.picture_at, cuts)
    then, now = arrival_maps(received, cuts)
    if then is not None and now is not None:
        channels = np.array([len(block.index) for block in received.blocks])[:, None, None]
        new = np.rint((now - then) * channels)
    return Bought(low, n, _sized(before, after), after, new, _minds([before, after], hierarchy, classifier))


def _sized(before: Decoded, after: Decoded) -> Decoded:
    """A prefix that ends inside the header does not know the size yet: grey of the right size."""
    from dataclasses import replace

    import torch

    if before.image.shape == after.image.shape:
        return before
    return replace(before, image=torch.full_like(after.image, 0.5))


def _minds(pictures: Sequence[Decoded], hierarchy: Hierarchy, classifier: Classifier) -> tuple[Mind, ...]:
    import torch

    with torch.no_grad():
        logits = [classifier(decoded.image[None])[0] for decoded in pictures]
        p = [[hierarchy.log_probabilities(each, k).exp() for k in range(len(hierarchy.levels))] for each in logits]
    minds = []
    for k, level in enumerate(hierarchy.levels):
        was, is_now = int(p[0][k].argmax()), int(p[1][k].argmax())
        odds = [float(log_odds(float(each[k][is_now]))) for each in p]
        names = hierarchy.group_names[k]
        minds.append(Mind(level, names[was], names[is_now], float(p[1][k][is_now]), odds[0], odds[1]))
    return tuple(minds)


@styled
def bought_figure(found: Bought) -> Figure:
    """Before, after, their difference (four times), where the new latents lie, and the change of log-odds."""
    from ..images.pictures import to_uint8

    maps = [] if found.new is None else list(found.new)
    figure, axes = sheet(3.1 * (4 + len(maps)) * 0.72, 2.75, 1, 4 + len(maps))
    titles = (f"{found.low:,} B", f"{found.high:,} B", "change, four times")
    for axis, image, title in zip(axes[0], (found.before.image, found.after.image, found.difference), titles):
        axis.imshow(to_uint8(image), interpolation="none")
        axis.set_title(title)
    for level, (axis, new) in enumerate(zip(axes[0][3:-1], maps, strict=True), 1):
        axis.imshow(new, vmin=0, vmax=max(1.0, float(new.max())), cmap="cividis", interpolation="none")
        axis.set_title(f"block {level}: {new.sum():,.0f} new")
    for axis in axes[0][:-1]:
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
    _bars(axes[0][-1], found.minds)
    return figure


def _bars(axis: Any, minds: Sequence[Mind]) -> None:
    rows = list(range(len(minds)))[::-1]
    changes = [mind.change for mind in minds]
    axis.barh(rows, changes, color=[level_colour(k) for k in range(len(minds))], height=0.5)
    for row, mind in zip(rows, minds, strict=True):
        told = mind.after if mind.before == mind.after else f"{mind.before} → {mind.after}"
        axis.annotate(told, (0, row), (2, 12), textcoords="offset points", fontsize=7.5, annotation_clip=False)
    axis.axvline(0, color=FAINT, linewidth=0.8)
    reach = max(0.5, *map(abs, changes))
    axis.set(yticks=[], xlim=(-1.15 * reach, 1.15 * reach), ylim=(-0.6, len(minds) - 0.2), xlabel="nats")
    axis.set_title("log-odds of the answer")
    axis.grid(False, axis="y")


def bought_box(
    codec: ProgressiveCodec, stream: bytes, hierarchy: Hierarchy, classifier: Classifier, *, n: int, last: int = 100
) -> ipywidgets.Widget:
    """``bought`` live: type a number of bytes and how many of them are the last; the latest values win."""
    import ipywidgets as W

    small = {"width": "13em"}
    number = W.BoundedIntText(value=n, min=0, max=len(stream), description="bytes", layout=small)
    length = W.BoundedIntText(value=last, min=1, max=len(stream), description="the last", layout=small)
    pictures = [W.Image(layout=W.Layout(width="200px")) for _ in range(3)]
    text = W.HTML()

    def show(wanted: tuple[int, int]) -> None:
        found = bought(codec, stream, hierarchy, classifier, n=wanted[0], last=wanted[1])
        for picture, image in zip(pictures, (found.before.image, found.after.image, found.difference)):
            picture.value, picture.format = frame_bytes(image)
        text.value = _words(found)

    def failed(error: Exception) -> None:
        text.value = f"<b>This cut did not decode.</b> {html.escape(f'{type(error).__name__}: {error}')}"

    box = W.VBox([W.HBox([number, length]), W.HBox(pictures, layout=W.Layout(grid_gap="1em")), text])
    box.pending = LatestWins(show, failed)
    for control in (number, length):
        control.observe(lambda _: box.pending.submit((number.value, length.value)), names="value")
    box.pending.submit((number.value, length.value))
    box.add_class("hier-bought")
    return box


def _words(found: Bought) -> str:
    """The change as HTML: latents by block, then a line for each level."""
    came = ", ".join(f"{row.new_latents:,} in block {row.block} at {row.places} places" for row in _rows(found))
    lines = [f"Bytes {found.low:,} to {found.high:,}: {came or 'this codec does not tell which latents came'}."]
    for mind in found.minds:
        hue, sign = (GREEN, "+") if mind.change >= 0 else (VERMILION, "−")
        told = mind.after if mind.before == mind.after else f"{mind.before} → {mind.after}"
        lines.append(
            f"<span style='opacity:.65'>{html.escape(mind.level)}</span> <b>{html.escape(told)}</b> "
            f"{mind.probability:.0%} <span style='color:{hue}'>{sign}{abs(mind.change):.2f} nats</span>"
        )
    return "<br>".join(lines)


def _rows(found: Bought) -> list[Any]:
    return [row for row in found.latents().itertuples() if row.new_latents]
