"""When did the machine know? The survival of N*_K over a set, and behind each step of the curve its pictures.

A panel of plain HTML: radio buttons and style sheets do the choosing, so it works by mouse and arrow keys in a
notebook, in Voila and in an exported page, with no kernel and no script.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..files import write_bytes
from .ladder import data_uri
from .palette import level_colour

if TYPE_CHECKING:
    from torch import Tensor

    from ..evaluation import Results
    from ..images.packs import PictureSet
    from .ladder import Ladder

SIDE = 72  # pixels of a picture in the panel


@dataclass(frozen=True)
class Panel:
    """HTML that shows itself as the last line of a cell, and goes into the report by ``save_panel``."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def save_panel(panel: Panel, run_folder: str | Path, name: str) -> Panel:
    """Write ``run_folder/panels/<name>.html`` for the report; returns the panel, so that a cell can end with the call.

    name: begins with its notebook's number ("04_known"), which is where the report puts it.
    """
    write_bytes(Path(run_folder) / "panels" / f"{name}.html", panel.html.encode())
    return panel


def known_of_results(results: Results, pictures: PictureSet, classifier: str | None = None, most: int = 96) -> Panel:
    """The panel of measured results and the pictures that they were measured on, ``most`` of them shown.

    Raises DataError where the two are not of one set.
    """
    from ..evaluation.semantic import n_star

    if results.meta["pictures"]["n"] != len(pictures):
        raise DataError(
            f"The results are of {results.meta['pictures']['n']} pictures, the set has {len(pictures)}: "
            "give the pictures that were measured."
        )
    settled = {level: n_star(results, level, classifier).to_dict() for level in results.levels}
    names = [str(pictures.names[label]) for label in pictures.labels]
    shown = range(min(most, len(pictures)))
    return known(settled, names, {i: pictures[i] for i in shown}, results.meta["codec"]["name"])


def known_of_ladders(ladders: Sequence[Ladder]) -> Panel:
    """The panel of some pictures' ladders. Raises DataError unless the truth of one picture at least is known."""
    told = [ladder for ladder in ladders if ladder.truth]
    if not told:
        raise DataError("Of none of these pictures is it known what it shows: give them classes.")
    settled = {
        level: {i: _number(ladder.known_after(k)) for i, ladder in enumerate(told)}
        for k, level in enumerate(told[0].levels)
    }
    images = {i: ladder.original for i, ladder in enumerate(told)}
    return known(settled, [f"{ladder.picture}: {ladder.truth[-1]}" for ladder in told], images, told[0].codec)


def _number(known_after: int | None) -> float:
    return float("nan") if known_after is None else float(known_after)


def known(
    settled: Mapping[str, Mapping[int, float]], names: Sequence[str], images: Mapping[int, Tensor], codec: str = ""
) -> Panel:
    """settled: level -> picture -> bytes after which its answer is right for good (NaN: never).

    names: by picture. images: those that can be shown, (3, H, W) in [0, 1].
    """
    edges = _edges([b for of_level in settled.values() for b in of_level.values()])
    shades = [float(image.sum()) for image in images.values()]
    facts = repr((codec, names, shades, sorted((k, sorted(v.items())) for k, v in settled.items())))
    unique = f"known{hashlib.sha256(facts.encode()).hexdigest()[:8]}"  # panels of one page, of two kernels, stay apart
    charts, lists, rules = [], [], []
    for level, (name, of_level) in enumerate(settled.items()):
        values = np.array(list(of_level.values()), dtype=float)
        bars = []
        for step, (low, high) in enumerate(zip([0.0, *edges], [*edges, np.inf])):
            chosen = [i for i, b in of_level.items() if (low < b <= high if np.isfinite(high) else not b <= low)]
            share = float((values <= high).mean()) if np.isfinite(high) else 1.0
            ident = f"{unique}-{level}-{step}"
            bars.append(_bar(unique, ident, name, low, high, len(chosen), share, level_colour(level)))
            lists.append(_pictures(ident, name, low, high, chosen, names, images, unique))
            rules.append(f'.{unique}:has(#{ident}:checked) [data-of="{ident}"]{{display:block}}')
        charts.append(
            f'<div class="kn-level"><b>{html.escape(name)}</b><div class="kn-bars" role="radiogroup" '
            f'aria-label="{html.escape(name)}: bytes until the answer is right for good">{"".join(bars)}</div></div>'
        )
    sprites = "".join(f'.{unique} .p{i}{{background-image:url("{data_uri(_small(x))}")}}' for i, x in images.items())
    style = f"<style>{STYLE.replace('.kn', f'.{unique} .kn')}{sprites}{''.join(rules)}</style>"
    told = f"{html.escape(codec)}: share of {len(names)} pictures known for good"
    head = f"<p>{told}; choose a step to see its pictures.</p>"
    return Panel(
        f'{style}<div class="{unique} hier-known">{head}<div class="kn-charts">{"".join(charts)}</div>'
        f'<div class="kn-lists" aria-live="polite">{"".join(lists)}</div></div>'
    )


def _edges(values: Sequence[float]) -> list[float]:
    """Steps of the curve: about ten, each a doubling of the square root, wide enough to reach every value."""
    finite = [b for b in values if np.isfinite(b) and b > 0]
    if not finite:
        return [64.0]
    low, high = np.floor(2 * np.log2(min(finite))), np.ceil(2 * np.log2(max(finite)))
    steps = np.arange(low, high + 1, 1 if high - low <= 12 else 2)
    edges = [float(round(2 ** (step / 2))) for step in steps]
    return sorted({*(edge for edge in edges if edge < max(finite)), float(max(finite))})


def _span(low: float, high: float) -> str:
    return f"{low:,.0f} to {high:,.0f} B" if np.isfinite(high) else "never"


def _bar(unique: str, ident: str, level: str, low: float, high: float, count: int, share: float, hue: str) -> str:
    """One step: a radio button whose label is the bar; its height is the share that is known by then."""
    never = not np.isfinite(high)
    label = f"{level}, {_span(low, high)}: {count} pictures" + ("" if never else f", {share:.0%} known by then")
    look = f"height:{100 * share:.1f}%;background:{hue}" + (";opacity:.25" if never else "")
    foot = "never" if never else f"{high:,.0f}"
    return (
        f'<span class="kn-step"><input type="radio" name="{unique}" id="{ident}" aria-label="{html.escape(label)}">'
        f'<label for="{ident}" title="{html.escape(label)}"><span class="kn-column"><i style="{look}"></i></span>'
        f"<small>{foot}</small></label></span>"
    )


def _pictures(
    ident: str,
    level: str,
    low: float,
    high: float,
    chosen: Sequence[int],
    names: Sequence[str],
    images: Mapping[int, Tensor],
    unique: str,
) -> str:
    shown = [i for i in chosen if i in images]
    rest = f", {len(chosen) - len(shown)} not shown" if len(shown) < len(chosen) else ""
    cells = "".join(
        f'<span class="kn-cell"><span class="kn-picture p{i}" role="img" aria-label="{html.escape(names[i])}"></span>'
        f"<small>{html.escape(names[i])}</small></span>"
        for i in shown
    )
    told = f"{html.escape(level)}, {_span(low, high)}: {len(chosen)} pictures{rest}"
    return f'<div class="kn-list" data-of="{ident}"><p>{told}</p>{cells}</div>'


def _small(image: Tensor) -> Any:
    from ..images.pictures import centre_square

    return image if max(image.shape[1:]) <= SIDE else centre_square(image, SIDE)


STYLE = (
    ".kn-charts{display:flex;flex-wrap:wrap;gap:1em 2em}.kn-level{min-width:14em;flex:1 1 14em;max-width:30em}"
    ".kn-bars{display:flex;gap:2px;margin-top:.4em}.kn-step{flex:1;position:relative;text-align:center}"
    ".kn-step input{position:absolute;opacity:0;width:100%;height:100%;left:0;top:0;margin:0;cursor:pointer}"
    ".kn-step label{display:block;cursor:pointer}.kn-column{display:flex;align-items:flex-end;height:7em;"
    "background:rgba(128,128,128,.12)}.kn-column i{display:block;width:100%}"
    ".kn-step small{font-size:.65em;opacity:.7}.kn-step input:checked+label .kn-column{outline:3px solid currentColor}"
    ".kn-step input:focus-visible+label .kn-column{outline:3px dashed currentColor}"
    ".kn-list{display:none}.kn-cell{display:inline-block;width:6em;margin:.3em;vertical-align:top;line-height:1.2}"
    f".kn-picture{{display:block;width:{SIDE}px;height:{SIDE}px;background-size:cover;border-radius:4px}}"
    ".kn-cell small{font-size:.72em}"
)
