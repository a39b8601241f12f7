"""The byte slider, the duel and the exact-N box of the notebooks.

The sliders are linked to pre-decoded frames on the page itself (``jslink``), so they move without a kernel: in an
exported page, and in a stored notebook that nobody has run. The box decodes live and needs one.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..codec.protocol import ProgressiveCodec
from ..errors import BudgetError, HierlibError
from ..evaluation.confidence import Confidence, shipped_confidence
from .captions import breadcrumb_html, caption_html, confidence_html, stills_html, strip_html
from .crumbs import calibrated, check_fit, name_pictures, truth_of
from .ladder import Ladder, Rung, frame_bytes
from .latents import received_whole
from .latest import LatestWins

if TYPE_CHECKING:
    import ipywidgets
    from matplotlib.figure import Figure

    from ..classifiers import Classifier
    from ..hierarchy.tree import Hierarchy

ROW = {"grid_gap": "1.5em", "flex_flow": "row wrap"}
BARE = (  # a Tab without its tabs
    "<style>.hier-pages .lm-TabBar{display:none !important}.hier-pages .widget-tab-contents,"
    ".hier-pages .jupyter-widget-tab-contents{border:none !important;padding:0 !important}</style>"
)
NO_KERNEL = (
    "<span style='opacity:.65'>Needs the kernel. If nothing changes within a few seconds, it has stopped: "
    "choose Kernel &gt; Restart and run the cells again. The slider works without.</span>"
)


def decode_slider(ladder: Ladder, side: int = 320) -> ipywidgets.Widget:
    """A slider over the rungs of ``ladder``: picture, breadcrumb, bytes and latents move together, kernel or none.

    side: width of the picture on the screen, pixels.
    """
    import ipywidgets as W

    frames = []
    for rung in ladder.rungs:
        words = caption_html(ladder, rung) + strip_html(ladder, rung) + breadcrumb_html(rung.crumbs)
        text = W.HTML(words, layout=W.Layout(width="24em"))
        frames.append(W.HBox([_image(W, rung, side), text], layout=W.Layout(**ROW)))
    return _sliding(frames, ladder.budgets, [ladder], "hier-ui")


def duel_slider(ladders: Sequence[Ladder], side: int = 220) -> ipywidgets.Widget:
    """Codecs at the same bytes under one slider, each with its picture and its verdict at every level.

    ladders: of one picture at the same budgets (``climb(..., budgets=...)``), a pane each. Raises BudgetError where
    their budgets differ.
    """
    import ipywidgets as W

    if not ladders or any(ladder.budgets != ladders[0].budgets for ladder in ladders):
        raise BudgetError("A duel needs ladders of the same budgets: give climb the same `budgets` for each codec.")
    frames = []
    for rungs in zip(*(ladder.rungs for ladder in ladders), strict=True):
        panes = []
        for ladder, rung in zip(ladders, rungs, strict=True):
            used = f"{min(rung.decoded.bytes_used, rung.bytes):,} B in use, {rung.psnr_db:.1f} dB"
            words = f"<b>{html.escape(ladder.codec)}</b><br><span style='opacity:.65'>{used}</span>"
            text = W.HTML(words + breadcrumb_html(rung.crumbs), layout=W.Layout(width=f"{side}px"))
            panes.append(W.VBox([_image(W, rung, side), text]))
        frames.append(W.HBox(panes, layout=W.Layout(**ROW)))
    return _sliding(frames, ladders[0].budgets, ladders, "hier-duel")


def live_box(
    codec: ProgressiveCodec,
    stream: bytes,
    hierarchy: Hierarchy,
    classifier: Classifier,
    *,
    wnid: str | None = None,
    start: int | None = None,
    side: int = 320,
    confidence: Confidence | None = None,
) -> ipywidgets.Widget:
    """A box for an exact number of bytes: that prefix is decoded and named live, the latest value winning.

    wnid: the class of the picture, where known. start: bytes shown first, a quarter of the file by default.
    The returned widget's ``pending.wait(seconds)`` waits until what is shown is what was asked for.
    """
    import ipywidgets as W

    check_fit(hierarchy, classifier)
    truth = truth_of(hierarchy, wnid)
    start = len(stream) // 4 if start is None else start
    number = W.BoundedIntText(value=start, min=0, max=len(stream), description="bytes", layout=W.Layout(width="14em"))
    picture = W.Image(layout=W.Layout(width=f"{side}px"))
    text = W.HTML(layout=W.Layout(width="24em"))

    received = _receiver(codec, stream)

    def show(n: int) -> None:
        decoded = codec.decode(stream[:n]) if received is None else received.picture_at(n)
        crumbs = name_pictures([decoded.image], hierarchy, classifier, truth)[0]
        pixels = decoded.image[0].numel()
        sure = confidence or shipped_confidence(codec, classifier, hierarchy, pixels)
        if sure is not None:
            crumbs = calibrated(crumbs, sure, n, pixels)
        picture.value, picture.format = frame_bytes(decoded.image)
        text.value = f"<b>{n:,}</b> of {len(stream):,} bytes, {decoded.bytes_used:,} in use" + breadcrumb_html(crumbs)

    def failed(error: Exception) -> None:
        text.value = f"<b>This cut did not decode.</b> {html.escape(f'{type(error).__name__}: {error}')}"

    box = W.VBox([W.HBox([number, W.HTML(NO_KERNEL)]), W.HBox([picture, text], layout=W.Layout(**ROW))])
    box.pending = LatestWins(show, failed)
    number.observe(lambda change: box.pending.submit(change["new"]), names="value")
    box.pending.submit(number.value)
    box.add_class("hier-live")
    picture.add_class("hier-live-img")
    return box


def contact_sheet(ladder: Ladder, n: int = 8) -> Figure:
    """``n`` rungs as one still figure: what a viewer without widgets sees in place of the slider."""
    from .strips import filmstrip

    return filmstrip(ladder, n)


def _sliding(frames: list[Any], budgets: Sequence[int], ladders: Sequence[Ladder], css_class: str) -> ipywidgets.Widget:
    """One slider over frames, linked on the page; a player beside it, whose confidence it is below it."""
    import ipywidgets as W

    class Sliding(W.VBox):
        """A viewer that knows no widgets takes the still pictures."""

        def _repr_mimebundle_(self, **options: Any) -> Any:
            data = super()._repr_mimebundle_(**options)
            return {**data, "text/html": stills_html(ladders)}

    start = 2 * len(frames) // 5  # something is to be seen there, and something still to come
    pages = W.Tab(frames, selected_index=start)  # keeps its frames drawn; a Stack draws anew: five times slower
    pages.add_class("hier-pages")
    labels = [(f"{budget:,} B", row) for row, budget in enumerate(budgets)]
    wide = W.Layout(width="30em", max_width="100%")
    slider = W.SelectionSlider(options=labels, index=start, description="budget", layout=wide)
    play = W.Play(value=start, min=0, max=len(frames) - 1, interval=250)
    links = [W.jslink((slider, "index"), (pages, "selected_index")), W.jslink((play, "value"), (slider, "index"))]
    box = Sliding([W.HTML(BARE), W.HBox([play, slider]), pages, W.HTML(confidence_html(ladders[0]))])
    box.add_class(css_class)
    box.links = links  # the widgets' lifetime is the box's
    return box


def _receiver(codec: ProgressiveCodec, stream: bytes) -> Any:
    """The codec's receiver with the stream in it, so that a cut costs one synthesis and no walk; None for a codec
    without one, or a stream that is damaged somewhere: its cuts are then decoded from their beginning.
    """
    try:
        return received_whole(codec, stream)
    except HierlibError:
        return None


def _image(W: Any, rung: Rung, side: int) -> ipywidgets.Widget:
    """One frame; small pictures keep their pixels instead of being blurred up."""
    content, kind = frame_bytes(rung.decoded.image)
    picture = W.Image(value=content, format=kind, layout=W.Layout(width=f"{side}px", height="auto"))
    picture.add_class("hier-img")
    return picture
