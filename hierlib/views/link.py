"""A link that is slow and sometimes gone, simulated; and the receiver at its end, which stops when it knows enough.

Nothing is lost on the wire (as under TCP): an outage is a while in which nothing comes.
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..codec.protocol import Decoded, ProgressiveCodec
from ..errors import BudgetError
from ..evaluation.confidence import shipped_confidence
from .captions import breadcrumb_html
from .crumbs import Crumb, calibrated, check_fit, name_pictures, truth_of
from .ladder import frame_bytes
from .latest import LatestWins
from .palette import FAINT, VERMILION, level_colour
from .sheet import sheet, styled

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure

    from ..classifiers import Classifier
    from ..evaluation.stopping import StopRule
    from ..hierarchy.tree import Hierarchy

STOP = (  # a stop sign
    '<svg viewBox="0 0 24 24" width="30" height="30" role="img" aria-label="stop" style="vertical-align:middle">'
    f'<path d="M7.5 1h9L23 7.5v9L16.5 23h-9L1 16.5v-9z" fill="{VERMILION}"/><text x="12" y="14.6" font-size="6.6" '
    'font-family="sans-serif" font-weight="700" text-anchor="middle" fill="#fff">STOP</text></svg> '
)


@dataclass(frozen=True)
class Link:
    """bytes_per_s: bandwidth. packet_bytes: what comes at once. outages_s: (from, to) in which nothing comes."""

    bytes_per_s: float = 400.0
    packet_bytes: int = 32
    outages_s: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.bytes_per_s <= 0 or self.packet_bytes < 1 or any(a < 0 or b < a for a, b in self.outages_s):
            raise BudgetError(
                f"A link of {self.bytes_per_s} bytes/s in packets of {self.packet_bytes}, outages {self.outages_s}: "
                "give a bandwidth above 0, packets of 1 byte or more, outages as (from, to) in seconds."
            )

    @classmethod
    def drawn(cls, bytes_per_s: float = 400.0, outages: int = 2, seed: int = 0, packet_bytes: int = 32) -> Link:
        """A link with ``outages`` of 0.3 to 1.5 s at random moments of its first seconds."""
        random = np.random.default_rng(seed)
        starts = np.cumsum(random.uniform(0.3, 1.5, outages))
        return cls(bytes_per_s, packet_bytes, tuple((float(a), float(a + random.uniform(0.3, 1.5))) for a in starts))

    @classmethod
    def of(cls, size_bytes: int, seconds: float = 8.0, outages: int = 2, seed: int = 0) -> Link:
        """A link that brings a file of ``size_bytes`` in about ``seconds``, outages aside, in some sixty packets."""
        return cls.drawn(max(1.0, size_bytes / seconds), outages, seed, max(8, size_bytes // 60))

    def packets(self, stream: bytes) -> Iterator[tuple[float, bytes]]:
        """The stream in pieces, each with the time in seconds at which it has arrived."""
        now, left = 0.0, sorted(self.outages_s)
        for start in range(0, len(stream), self.packet_bytes):
            piece = stream[start : start + self.packet_bytes]
            now += len(piece) / self.bytes_per_s
            while left and left[0][0] <= now:  # what was on its way waits until the link is back
                begin, end = left.pop(0)
                now += max(0.0, end - max(begin, now - len(piece) / self.bytes_per_s))
            yield now, piece


@dataclass(frozen=True)
class Look:
    """What the receiver has at one moment. enough: whether the rule lets it stop here."""

    time_s: float
    bytes: int
    decoded: Decoded
    crumbs: tuple[Crumb, ...]
    enough: bool


def receive(
    codec: ProgressiveCodec,
    packets: Iterable[tuple[float, bytes]],
    hierarchy: Hierarchy,
    classifier: Classifier,
    rule: StopRule | None = None,
    *,
    wnid: str | None = None,
    size_bytes: int | None = None,
) -> Iterator[Look]:
    """Feed what comes; look where the rule looks (after every packet if None); end with the look that is enough.

    size_bytes: of the whole file, where it is known; else the last look is at what had come when nothing more did.
    """
    check_fit(hierarchy, classifier)
    truth = truth_of(hierarchy, wnid)
    decoder: Any = codec.decoder() if hasattr(codec, "decoder") else _Prefixes(codec)
    received, now = 0, 0.0
    due: list[int] | None = None
    decoded = decoder.feed(b"").picture()
    seen = -1
    for time_s, piece in packets:
        now = time_s
        decoder.feed(piece)
        received += len(piece)
        if rule is not None:
            pixels = _pixels(decoder, codec) if due is None else None
            due = rule.looks(pixels, size_bytes or 1 << 62) if pixels is not None else due
            if due is None or received < due[0]:
                continue
            due = [n for n in due if n > received] or [1 << 62]
        decoded, seen = decoder.picture(), received
        look = _look(now, received, decoded, codec, hierarchy, classifier, rule, truth)
        yield look
        if look.enough:
            return
    if seen < received:
        yield _look(now, received, decoder.picture(), codec, hierarchy, classifier, None, truth)


def _look(
    now: float,
    received: int,
    decoded: Decoded,
    codec: ProgressiveCodec,
    hierarchy: Hierarchy,
    classifier: Classifier,
    rule: StopRule | None,
    truth: Sequence[int] | None,
) -> Look:
    pixels = decoded.image[0].numel()
    crumbs = name_pictures([decoded.image], hierarchy, classifier, truth)[0]
    confidence = rule.confidence if rule is not None else shipped_confidence(codec, classifier, hierarchy, pixels)
    enough = rule is not None and decoded.symbols > 0 and _enough(rule, crumbs, received, pixels)
    if confidence is not None:
        crumbs = calibrated(crumbs, confidence, received, pixels)
    return Look(now, received, decoded, crumbs, enough)


def _enough(rule: StopRule, crumbs: Sequence[Crumb], received: int, pixels: int) -> bool:
    (crumb,) = (crumb for crumb in crumbs if crumb.level == rule.level)
    return rule.enough(crumb.probability, received, pixels)


def _pixels(decoder: Any, codec: Any) -> int | None:
    """Pixels of the picture that is coming; None while its header has not arrived."""
    if hasattr(codec, "decoder"):
        header = getattr(decoder, "header", None)
        return None if header is None else header.height * header.width
    return decoder.picture().image[0].numel()


class _Prefixes:
    """A receiver for codecs that have none: decodes each prefix from its beginning."""

    def __init__(self, codec: ProgressiveCodec) -> None:
        self.codec, self.stream = codec, b""

    def feed(self, piece: bytes) -> _Prefixes:
        self.stream += piece
        return self

    def picture(self) -> Decoded:
        return self.codec.decode(self.stream)


def summary(looks: Sequence[Look], size_bytes: int, whole_s: float) -> Any:
    """A pandas frame of one row: bytes and seconds until the end, what was saved, and the answers."""
    import pandas as pd

    last = looks[-1]
    row: dict[str, Any] = {"stopped": last.enough, "bytes": last.bytes, "of": size_bytes}
    row |= {"saved": f"{1 - last.bytes / size_bytes:.0%}", "s": round(last.time_s, 2), "whole_s": round(whole_s, 2)}
    row |= {crumb.level: f"{crumb.name} {crumb.sure:.0%}" for crumb in last.crumbs}
    return pd.DataFrame([row])


@styled
def link_figure(looks: Sequence[Look], link: Link, size_bytes: int, rule: StopRule | None = None) -> Figure:
    """Confidence at each level over time, bytes behind it, outages shaded, and where the receiver stopped."""
    figure, axes = sheet(9.0, 3.3)
    axis = axes[0, 0]
    for begin, end in link.outages_s:
        if begin <= looks[-1].time_s:
            axis.axvspan(begin, end, color=FAINT, alpha=0.18, linewidth=0)
    times = [look.time_s for look in looks]
    for level, crumb in enumerate(looks[-1].crumbs):
        hue = level_colour(level)
        axis.plot(times, [look.crumbs[level].sure for look in looks], "o-", color=hue, label=crumb.level)
    axis.plot(
        times, [look.bytes / size_bytes for look in looks], color=FAINT, linestyle=":", label="share of the bytes"
    )
    if rule is not None and rule.threshold <= 1:
        axis.axhline(rule.threshold, color=VERMILION, linewidth=1, linestyle="--", label=f"enough ({rule.level})")
    if looks[-1].enough:
        axis.axvline(looks[-1].time_s, color=VERMILION, linewidth=2)
        axis.annotate("stop", (looks[-1].time_s, 1), (4, -2), textcoords="offset points", color=VERMILION)
    axis.set(xlabel="seconds (shaded: outage)", ylabel="confidence", ylim=(0, 1.04), xlim=(0, None))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    figure.legend(loc="outside right upper")
    return figure


def stop_box(
    codec: ProgressiveCodec,
    stream: bytes,
    hierarchy: Hierarchy,
    classifier: Classifier,
    rule: StopRule | None,
    link: Link,
    *,
    wnid: str | None = None,
    speed: float = 1.0,
) -> ipywidgets.Widget:
    """Press "Receive": the picture refines as packets come, and a stop sign appears where the rule says enough.

    speed: how many seconds of the link pass in one of ours; 0: no waiting at all.
    """
    import ipywidgets as W

    button = W.Button(description="Receive", icon="download")
    speeds = sorted({round(link.bytes_per_s * times) for times in (0.25, 0.5, 1, 2, 4)} - {0})
    options = [(f"{b:,} bytes/s", b) for b in speeds]
    bandwidth = W.Dropdown(options=options, value=round(link.bytes_per_s) or speeds[0], description="bandwidth")
    outages = W.Checkbox(value=bool(link.outages_s), description="outages", indent=False)
    bar = W.IntProgress(max=len(stream), layout=W.Layout(width="20em"))
    nothing, kind = frame_bytes(codec.decode(b"").image)
    picture = W.Image(value=nothing, format=kind, layout=W.Layout(width="256px"))
    text = W.HTML(layout=W.Layout(width="24em"))

    def run(_: int) -> None:
        bar.bar_style = ""
        chosen = Link(bandwidth.value, link.packet_bytes, link.outages_s if outages.value else ())
        whole_s = max(when for when, _ in chosen.packets(stream))
        began, look = time.monotonic(), None
        for look in receive(
            codec, chosen.packets(stream), hierarchy, classifier, rule, wnid=wnid, size_bytes=len(stream)
        ):
            if speed > 0:
                time.sleep(max(0.0, look.time_s / speed - (time.monotonic() - began)))
            picture.value, picture.format = frame_bytes(look.decoded.image)
            bar.value = look.bytes
            text.value = _heard(look, len(stream), whole_s) + breadcrumb_html(look.crumbs)
        bar.bar_style = "success" if look is not None and look.enough else ""

    def failed(error: Exception) -> None:
        text.value = f"<b>The stream did not decode.</b> {html.escape(f'{type(error).__name__}: {error}')}"

    told = str(rule) if rule else "No stop rule was measured for this codec, classifier and hierarchy: it hears all."
    box = W.VBox(
        [
            W.HTML(f"<span style='opacity:.65'>{html.escape(told)}</span>"),
            W.HBox([button, bandwidth, outages, bar]),
            W.HBox([picture, text], layout=W.Layout(grid_gap="1.5em", flex_flow="row wrap")),
        ]
    )
    box.pending = LatestWins(run, failed)
    button.on_click(lambda _: box.pending.submit(0))
    box.add_class("hier-stop")
    picture.add_class("hier-stop-img")
    return box


def _heard(look: Look, size_bytes: int, whole_s: float) -> str:
    if look.enough:
        saved = f"{1 - look.bytes / size_bytes:.0%} of the bytes and {whole_s - look.time_s:.1f} s saved"
        return f"{STOP}<b style='color:{VERMILION};font-size:1.3em'>enough</b> after {look.bytes:,} bytes: {saved}"
    return f"<b>{look.bytes:,}</b> of {size_bytes:,} bytes after {look.time_s:.1f} s"
