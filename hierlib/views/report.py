"""One page that holds a run: ``report.html``, self-contained, readable offline and on a phone.

Assembly only. What notebooks left in the run folder is put in order and inlined: ladders (the slider's frames),
figures, tables, checks. The page's look and its slider are in ``page/report.css`` and ``page/report.js``.
"""

from __future__ import annotations

import base64
import html
import io
import json
import re
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import write_bytes
from .palette import BLUE, FAINT, INK, LEVELS, PAPER, RULE, VERMILION
from .results import plain

PAGE = Path(__file__).parent / "page"
LARGEST_SVG = 600_000  # bytes: beyond it (pictures, scatter plots of thousands) the PNG is the lighter one
LARGEST_REPORT = 15_000_000  # bytes: what a phone opens and a mail carries
TITLES = {
    "00_tour": "Ten minutes from nothing",
    "01_hierarchy": "Classes in levels",
    "02_train": "Training",
    "03_decode": "What each byte brings",
    "04_compare": "Beside JPEG 2000",
    "05_figures": "Figures",
    "06_your_photos": "Your photographs",
}
MASTHEAD = (
    '<header class="masthead"><h1>First <em>what kind</em>, then <em>which</em>, then the picture</h1>'
    "<p>A picture becomes one string of bytes, and any prefix of it decodes. Give it more bytes and watch the "
    "answer sharpen from coarse to fine.</p></header>"
)
VARIABLES = {  # colours of figures that change when the page turns dark
    INK: "ink",
    PAPER: "paper",
    "#ffffff": "paper",
    RULE: "rule",
    FAINT: "faint",
    BLUE: "blue",
    VERMILION: "vermilion",
}
LONG = 14  # rows: longer tables are folded away
UNITS = {"psnr_db": "PSNR, dB", "ms_ssim": "MS-SSIM", "ms_ssim_db": "MS-SSIM, dB", "bpp": "bpp", "wup": "WUP"}


def write_report(run_folder: str | Path) -> Path:
    """Assemble ``run_folder/report.html`` from what lies in the folder, and return its path.

    Reads ``ladders/*.json``, ``panels/*.html``, ``figures/*.{svg,png}``, ``*.results.json``, executed ``*.ipynb`` and
    ``run.json``, whichever are there. Raises DataError if the folder is missing, holds nothing to show, or the page
    would exceed 15 MB.
    """
    folder = Path(run_folder)
    sections = _sections(folder)
    ladders = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("ladders/*.json"))}
    if not sections and not ladders:
        raise DataError(f"{folder} holds no results to report: run the notebooks into it first (make reproduce).")
    single = [item for name, item in ladders.items() if len(item["ladders"]) == 1 and not name.startswith("06")]
    yours = [item for name, item in ladders.items() if name.startswith("06")]
    panels = {path.stem: path.read_text() for path in sorted(folder.glob("panels/*.html"))}
    duels = [item for item in ladders.values() if len(item["ladders"]) > 1]
    top = player("coarse-to-fine", single, "Drag from the first byte to the last")
    body = [MASTHEAD, top, _contents(sections)]
    for name, section in sections.items():
        section[1:1] = [f'<div class="panel">{panels.pop(each)}</div>' for each in list(panels) if each[:2] == name[:2]]
        if name.startswith("04"):
            section.insert(1, player("same-bytes", duels, "The same number of bytes, codec by codec"))
        if name.startswith("06"):
            section.insert(1, player("yours", yours, "Drag from the first byte to the last"))
        body.append(f'<section id="{name}">{"".join(section)}</section>')
    body.append(_foot(folder))
    page = page_bytes(folder.resolve().name, "\n".join(body))
    if len(page) > LARGEST_REPORT:
        raise DataError(f"the report would be {len(page) / 1e6:.1f} MB, more than 15: save fewer or smaller ladders.")
    write_bytes(folder / "report.html", page)
    return folder / "report.html"


def _sections(folder: Path) -> dict[str, list[str]]:
    """Per notebook, its HTML pieces: heading, figures, checks and tables."""
    found = {path.name.split(".")[0] for path in folder.glob("*.results.json")}
    figures: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("figures/*.png"), key=lambda path: (path.stat().st_mtime_ns, path.name)):
        figures.setdefault(_owner(path.stem, found), []).append(path)
    sections = {}
    for name in sorted(found | set(figures)):
        results = folder / f"{name}.results.json"
        content = json.loads(results.read_text()) if results.is_file() else {}
        pieces = [_heading(name, folder), *map(_figure, figures.get(name, []))]
        sections[name] = [*pieces, _checks(content.pop("checks", {})), _numbers(name, content)]
    return sections


def _owner(figure: str, notebooks: set[str]) -> str:
    """The notebook a figure belongs to: the one whose number its name starts with (``03_filmstrip``)."""
    return next((name for name in sorted(notebooks) if name[:2] == figure[:2]), "figures")


def _heading(name: str, folder: Path) -> str:
    """Number, title and the question that the notebook opens with."""
    number = name[:2] if name[:2].isdigit() else ""
    title, question = _opening(folder / f"{name}.ipynb")
    title = title or TITLES.get(name, name.replace("_", " "))
    return f'<header><p class="number">{number}</p><h2>{html.escape(title)}</h2>{question}</header>'


def _opening(notebook: Path) -> tuple[str, str]:
    """Heading and first paragraph (as HTML) of a notebook's first markdown cell; empty where there is none."""
    if not notebook.is_file():
        return "", ""
    cells = json.loads(notebook.read_text())["cells"]
    text = next(("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"), "")
    heading, _, rest = text.partition("\n")
    paragraph = rest.strip().split("\n\n")[0]
    title = re.sub(r"^#+\s*(\d+\s*[·.:]?\s*)?", "", heading).strip()
    return title, f"<p>{_inline(paragraph)}</p>" if paragraph else ""


def _inline(markdown: str) -> str:
    """A paragraph of Markdown as HTML: code, bold, italic; of a link only its text stays."""
    text = html.escape(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown), quote=False)
    for mark, tag in (("`", "code"), (r"\*\*", "b"), (r"\*", "em")):
        text = re.sub(rf"{mark}([^`*]+){mark}", rf"<{tag}>\1</{tag}>", text)
    return text


def _figure(png: Path) -> str:
    """A figure inlined: as SVG that follows the page's colours if it is light enough, else as a picture on white."""
    from PIL import Image

    with Image.open(png) as opened:
        caption = str(opened.info.get("Description") or png.stem[3:].replace("_", " "))
        title = str(opened.info.get("Title") or caption)
    svg = png.with_suffix(".svg")
    drawn = _inline_svg(svg.read_text(), title, png.stem) if svg.is_file() else ""
    if not 0 < len(drawn) <= LARGEST_SVG:
        drawn = _plate(png, title)
    return f"<figure>{drawn}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _plate(png: Path, title: str) -> str:
    """A figure as a picture, on white."""
    return f'<img class="plate" alt="{html.escape(title)}" src="{_webp(png.read_bytes())}">'


def _webp(png: bytes) -> str:
    """A PNG as the data address of a WebP, a tenth of its size where it is a photograph."""
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as opened:
        opened.save(buffer, "webp", quality=90)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _inline_svg(text: str, title: str, name: str) -> str:
    """A matplotlib SVG as an element of the page: no prologue, no addresses, own ids, the page's colours."""
    text = re.sub(
        r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.S
    )
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r"data:image/png;base64,([^\"]+)", lambda m: _webp(base64.b64decode(m[1])), text)
    for opening in (r'\bid="', r'href="#', r"url\(#"):
        text = re.sub(rf"({opening})", rf"\g<1>{name}-", text)
    for colour, variable in VARIABLES.items():
        text = re.sub(re.escape(colour), f"var(--{variable})", text, flags=re.I)
    width = re.search(r'<svg[^>]*?width="([\d.]+)pt"', text)
    most = f' style="max-width:{float(width[1]) * 1.4:.0f}px"' if width else ""  # letters near the page's own size
    return text.strip().replace("<svg", f'<svg role="img" aria-label="{html.escape(title)}"{most}', 1)


def _checks(checks: Any) -> str:
    """The check cell's sentences, each with its outcome."""
    if not checks:
        return ""
    items = checks.items() if isinstance(checks, dict) else [(str(check), True) for check in checks]
    rows = [
        f'<li class="{"held" if held else "failed"}"><span aria-hidden="true">{"✓" if held else "✗"}</span>'
        f'<span class="hidden">{"held: " if held else "failed: "}</span>{html.escape(str(sentence))}</li>'
        for sentence, held in items
    ]
    return f'<h3>Checked</h3><ul class="checks">{"".join(rows)}</ul>'


def _numbers(name: str, content: dict[str, Any]) -> str:
    """Everything else in a results file: tables open, parameters and surroundings folded away."""
    quiet = {key: content.pop(key) for key in ("parameters", "made_with", "versions", "hardware") if key in content}
    content.pop("notebook", None)
    shown = "".join(_value(key, value) for key, value in content.items() if _tabular(value))
    scalars = {key: value for key, value in content.items() if not isinstance(value, (dict, list))}
    facts = _facts(scalars) if scalars else ""
    folded = "".join(
        f"<h4>{_words(key)}</h4>{_facts(value)}" for key, value in quiet.items() if isinstance(value, dict)
    )
    details = f"<details><summary>Parameters and versions</summary>{folded}</details>" if folded else ""
    return facts + shown + details


def _tabular(value: Any) -> bool:
    """Whether a value is shown as a table: a dictionary, or a list of rows."""
    return bool(value) and (
        isinstance(value, dict) or (isinstance(value, list) and all(isinstance(row, dict) for row in value))
    )


def _value(key: str, value: Any) -> str:
    """A list of rows, a dictionary of rows, or a dictionary of numbers, under its name."""
    if isinstance(value, dict):
        nested = {name: row for name, row in value.items() if isinstance(row, dict)}
        flat = {name: item for name, item in value.items() if not isinstance(item, (dict, list))}
        rows = [{"": name, **row} for name, row in nested.items()]
        return f"<h3>{_words(key)}</h3>" + (_table(rows) if rows else "") + (_facts(flat) if flat else "")
    return f"<h3>{_words(key)}</h3>{_table(value)}"


def _table(rows: list[dict[str, Any]]) -> str:
    """Rows as a table that scrolls sideways on a narrow screen; a long one opens on demand."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    head = "".join(f'<th scope="col">{_words(column)}</th>' for column in columns)
    body = "".join("<tr>" + "".join(_cell(row.get(column)) for column in columns) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    scrolling = f'<div class="wide" tabindex="0" role="region" aria-label="table">{table}</div>'
    return scrolling if len(rows) <= LONG else f"<details><summary>{len(rows)} rows</summary>{scrolling}</details>"


def _cell(value: Any) -> str:
    kind = ' class="n"' if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
    return f"<td{kind}>{_text(value)}</td>"


def _facts(pairs: dict[str, Any]) -> str:
    items = "".join(f"<div><dt>{_words(key)}</dt><dd>{_text(value)}</dd></div>" for key, value in pairs.items())
    return f'<dl class="facts">{items}</dl>'


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return html.escape(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _words(key: Any) -> str:
    """A name in code as a name on the page; its unit follows a comma."""
    text = re.sub(r"_(bytes|db|s)$", r", \1", str(key))
    return html.escape(UNITS.get(str(key), text.replace("_", " ")))


def player(name: str, pictures: list[dict[str, Any]], heading: str) -> str:
    """The place of a slider and its data; report.js fills it in. pictures: as ``save_ladders`` writes them."""
    if not pictures:
        return ""
    hues = [f"var(--{VARIABLES[hue]})" if hue in VARIABLES else hue for hue in LEVELS]
    data = json.dumps({"heading": heading, "pictures": pictures, "hues": hues}, separators=(",", ":"))
    safe = data.replace("<", "\\u003c")  # a name with </script> must not end the element
    return (
        f'<section class="player" id="{name}" aria-label="{html.escape(heading)}"><noscript>The slider needs '
        "JavaScript; the filmstrips below show the same.</noscript></section>"
        f'<script type="application/json" data-for="{name}">{safe}</script>'
    )


def _contents(sections: dict[str, list[str]]) -> str:
    titles = {name: html.escape(TITLES.get(name, name[3:].replace("_", " "))) for name in sections}
    links = "".join(f'<a href="#{name}"><b>{name[:2]}</b> {title}</a>' for name, title in titles.items())
    return f'<nav aria-label="Contents">{links}</nav>'


def _foot(folder: Path) -> str:
    """How the run was made: recipe, times and versions, from run.json where the runner left one."""
    path = folder / "run.json"
    run = plain(json.loads(path.read_text())) if path.is_file() else {}
    times = run.get("notebooks", [])
    table = f"<h3>Time</h3>{_table(times)}" if times else ""
    facts = {key: value for key, value in run.items() if not isinstance(value, (dict, list))} | run.get("made_with", {})
    return f'<footer><h2>This run</h2><div class="cols"><div>{_facts(facts)}</div><div>{table}</div></div></footer>'


def page_bytes(name: str, body: str) -> bytes:
    """A whole page around ``body``: style and script inside, nothing asked of anybody."""
    style, script = (PAGE / "report.css").read_text(), (PAGE / "report.js").read_text()
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{html.escape(name)} · hierlib</title><style>{style}</style></head>"
        f"<body><main>{body}</main><script>{script}</script></body></html>\n"
    ).encode()
