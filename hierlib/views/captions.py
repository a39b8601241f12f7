"""What stands beside a decoded picture, as HTML: the answers, the bytes, where in the stream we are, what has arrived.

Neutral greys come from opacity, so that all of it reads in light and dark themes alike.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from .crumbs import Crumb, mark
from .ladder import Ladder, Rung, data_uri
from .latents import map_uri, map_words
from .palette import FAINT, level_colour

NUMBERS = "font-variant-numeric:tabular-nums"


def breadcrumb_html(crumbs: Sequence[Crumb]) -> str:
    """Answers, coarse to fine: a bar for each level's confidence, a tick where it is right.

    The confidence is calibrated where somebody measured it; what the classifier itself said is then in the tooltip.
    """
    rows = []
    for level, crumb in enumerate(crumbs):
        hue, sure = level_colour(level), f"{crumb.sure:.0%}"
        said = "" if crumb.calibrated is None else f' title="calibrated; the classifier says {crumb.probability:.0%}"'
        rows.append(
            '<div style="display:grid;grid-template-columns:7.5em 1fr 3em;gap:.6em;align-items:baseline;margin:.3em 0"'
            f'{said}><span style="opacity:.65">{html.escape(crumb.level)}</span>'
            f"<span><b>{html.escape(crumb.name)}</b>{mark(crumb)}"
            f'<span style="display:block;height:4px;border-radius:2px;background:{hue};width:{sure}"></span></span>'
            f'<span style="text-align:right;{NUMBERS}">{sure}</span></div>'
        )
    return f'<div class="hier-crumbs" style="line-height:1.35">{"".join(rows)}</div>'


def caption_html(ladder: Ladder, rung: Rung) -> str:
    """Bytes, bits per pixel, PSNR, levels complete and coefficients received of one rung, as a line of HTML."""
    decoded = rung.decoded
    received = f" · {decoded.symbols:,} of {decoded.symbols_total:,} coefficients" if decoded.symbols_total else ""
    levels = f" · level {decoded.level} of {len(ladder.ends)} complete" if ladder.ends else ""
    return (
        f'<div style="line-height:1.4;{NUMBERS}"><b style="font-size:1.5em">{rung.bytes:,}</b> of '
        f"{len(ladder.stream):,} bytes<br><span style='opacity:.65'>{rung.bpp:.3f} bpp · {rung.psnr_db:.1f} dB"
        f"{levels}{received}</span></div>"
    )


def strip_html(ladder: Ladder, rung: Rung) -> str:
    """The stream as a strip, its blocks side by side and filled as far as we are; below, which latents have arrived."""
    total, at, pieces = max(1, len(ladder.stream)), 0, []
    parts = ladder.parts or (("bytes", len(ladder.stream)),)
    blocks = 0
    for name, size in parts:
        blocks += name.startswith("block")
        hue = level_colour(blocks - 1) if name.startswith("block") else FAINT
        full = min(1.0, max(0.0, (rung.bytes - at) / size)) if size else 1.0
        pieces.append(
            f'<i title="{html.escape(name)}: {size:,} bytes" style="display:block;flex:{size / total:.5f} 0 0;'
            f'min-width:2px;height:9px;background:linear-gradient(90deg,{hue} {full:.1%},{hue}33 {full:.1%})"></i>'
        )
        at += size
    words = ", ".join(f"{name} {size:,} B" for name, size in parts)
    strip = f'<div role="img" aria-label="The stream: {words}" style="display:flex;gap:1px">{"".join(pieces)}</div>'
    return f'<div class="hier-strip" style="margin:.6em 0">{strip}{arrived_html(rung)}</div>'


def arrived_html(rung: Rung) -> str:
    """A small map for each block: the stronger a place, the more of its latents are there. Empty if not known."""
    if rung.arrived is None:
        return ""
    words = f"Latents that have arrived: {map_words(rung.arrived)}"
    return (
        f'<img class="hier-map" src="{map_uri(rung.arrived)}" alt="{words}" title="{words}" '
        f'style="display:block;width:100%;max-width:15em;image-rendering:pixelated;margin-top:.5em">'
    )


def confidence_html(ladder: Ladder) -> str:
    """Whose confidence is shown."""
    said = f"Confidence {ladder.confidence}." if ladder.confidence else "Confidence as the classifier says it."
    return f'<div style="opacity:.65;font-size:.85em">{html.escape(said)}</div>'


def stills_html(ladders: Sequence[Ladder], n: int = 6) -> str:
    """Some rungs side by side, for viewers that show no widgets: pictures and words only, no script."""
    figures = []
    for ladder in ladders:
        for rung in ladder.pick(n):
            answer = ", ".join(f"{html.escape(c.name)} {c.sure:.0%}{mark(c)}" for c in rung.crumbs)
            words = f"{html.escape(ladder.codec)}, {rung.bytes:,} bytes"
            figures.append(
                '<figure style="display:inline-block;width:9em;margin:.3em;vertical-align:top">'
                f'<img src="{data_uri(rung.decoded.image)}" alt="{html.escape(ladder.picture)}, {words}: {answer}" '
                f'style="width:100%"><figcaption style="font-size:.8em">{words}<br>{answer}</figcaption></figure>'
            )
    return (
        "<p>This viewer shows no widgets, so here are some cuts instead of the slider; "
        f"it moves in JupyterLab and in the exported page.</p>{''.join(figures)}"
    )
