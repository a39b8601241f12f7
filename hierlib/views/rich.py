"""How our objects show themselves as the last line of a cell: a picture or a table, never an address in memory.

``shown.py`` registers these by name with IPython, so that nothing is imported before an object of the type is shown.
"""

from __future__ import annotations

import base64
import html
from typing import Any

from ..images.pictures import png_bytes
from .captions import breadcrumb_html, caption_html, strip_html
from .ladder import Ladder, Rung, data_uri


def facts_html(title: str, facts: dict[str, Any]) -> str:
    """A small table of two columns under a title."""
    rows = "".join(
        f'<tr><td style="opacity:.65;text-align:left">{html.escape(key)}</td>'
        f'<td style="text-align:left">{html.escape(_words(value))}</td></tr>'
        for key, value in facts.items()
    )
    return f"<b>{html.escape(title)}</b><table>{rows}</table>"


def decoded_html(decoded: Any) -> str:
    """``Decoded``: its picture, and under it what it rests on."""
    source = base64.b64encode(png_bytes(decoded.image)).decode()
    height, width = decoded.image.shape[1:]
    facts = [f"{decoded.bytes_used:,} bytes in use", f"level {decoded.level}"]
    if decoded.symbols_total:
        facts.append(f"{decoded.symbols:,} of {decoded.symbols_total:,} coefficients")
    facts.append("the whole stream" if decoded.complete else "a prefix")
    words = " · ".join(facts)
    shown = max(width, min(256, width * (256 // max(1, width)) or width))
    return (
        f'<figure style="margin:0"><img src="data:image/png;base64,{source}" width="{shown}" alt="{width} x {height} '
        f'pixels: {words}" style="max-width:100%;image-rendering:{"pixelated" if width <= 96 else "auto"}">'
        f"<figcaption style='opacity:.75'>{words}</figcaption></figure>"
    )


def codec_html(codec: Any) -> str:
    """``HierCodec``: blocks, widths, parameters by part, and the fingerprint that its streams carry."""
    from ..codec.network import numbers_in

    config, network = codec.network.config, codec.network
    parts = {name: numbers_in(module) for name, module in network.named_children()}
    facts = {
        "levels": codec.levels,
        "channels up to": config.blocks,
        "widths": config.N,
        "hyper-latent": config.N_hyper,
        "parameters": sum(parts.values()),
        **{f"of them {name}": count for name, count in parts.items() if count},
        "fingerprint": codec.fingerprint.hex(),
        "largest picture": f"{codec.max_pixels:,} padded pixels",
    }
    return facts_html(f"codec {codec.name}", facts)


def peer_html(codec: Any) -> str:
    """A classical codec, or anybody's: its name, what it is, its settings."""
    about = (type(codec).__doc__ or "").strip().partition("\n")[0]
    settings = {key: value for key, value in vars(codec).items() if isinstance(value, (int, float, str, bool, tuple))}
    return facts_html(f"codec {codec.name}", {"what": about, **{k: v for k, v in settings.items() if k != "name"}})


def classifier_html(classifier: Any) -> str:
    """A classifier: its name, how many classes it knows, its first ones, and what it says of itself."""
    network: Any = getattr(classifier, "network", None)
    facts: dict[str, Any] = {"classes": len(classifier.wnids), "the first": ", ".join(classifier.wnids[:4])}
    if hasattr(network, "parameters"):
        from ..codec.network import numbers_in

        facts["parameters"] = numbers_in(network)
    return facts_html(f"classifier {classifier.name}", {**facts, **getattr(classifier, "about", {})})


def results_html(results: Any) -> str:
    """``Results``: what was measured, and the means at each point."""
    meta = results.meta
    columns = ["classifier", "point", "n", "bytes", "psnr_db", *(f"right_{level}" for level in results.levels)]
    table = results.table()
    shown = table[[name for name in columns if name in table]].round(3)
    title = f"{meta['codec']['name']} on {meta['pictures']['n']:,} pictures of {meta['pictures']['name']}"
    return f"<b>{html.escape(title)}</b>{shown.to_html(index=False, border=0)}"


def rung_html(rung: Rung) -> str:
    """One cut: its picture and its answers."""
    return decoded_html(rung.decoded) + breadcrumb_html(rung.crumbs)


def ladder_html(ladder: Ladder) -> str:
    """A ladder: four cuts side by side, each with strip and answers."""
    cells = "".join(
        f'<td style="vertical-align:top;text-align:left;min-width:15em">{_picture(rung)}{caption_html(ladder, rung)}'
        f"{strip_html(ladder, rung)}{breadcrumb_html(rung.crumbs)}</td>"
        for rung in ladder.pick(4)
    )
    return f"<b>{html.escape(ladder.picture)}, {html.escape(ladder.codec)}</b><table><tr>{cells}</tr></table>"


def pictures_html(pictures: Any) -> str:
    """A ``PictureSet``: its first pictures with their classes."""
    cells = "".join(
        f'<figure style="display:inline-block;margin:.3em;width:7em;vertical-align:top"><img src="'
        f'{data_uri(pictures[i])}" alt="{html.escape(pictures.names[pictures.labels[i]])}" style="width:100%">'
        f"<figcaption style='font-size:.8em'>{html.escape(pictures.names[pictures.labels[i]])}</figcaption></figure>"
        for i in range(min(8, len(pictures)))
    )
    title = f"{pictures.name}: {len(pictures):,} pictures of {len(pictures.wnids)} classes"
    return f"<b>{html.escape(title)}</b><br>{cells}"


def _picture(rung: Rung) -> str:
    return f'<img src="{data_uri(rung.decoded.image)}" alt="decoded from {rung.bytes:,} bytes" style="width:14em">'


def _words(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def recipe_html(recipe: Any) -> str:
    """A training ``Recipe``: all its fields."""
    return facts_html(f"recipe {getattr(recipe, 'name', '')}", recipe.to_json())
