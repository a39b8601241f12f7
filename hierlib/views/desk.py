"""A desk for your own photographs: upload or name a folder, choose one, and everything there is to see of it.

What goes wrong becomes a sentence on the desk; the rest goes on working.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..codec.protocol import ProgressiveCodec
from ..errors import HierlibError
from ..evaluation.stopping import StopRule, shipped_rule
from .album import export
from .bought import bought_box
from .known import Panel, known_of_ladders
from .ladder import Ladder, climb, geometric_budgets
from .latest import LatestWins
from .link import Link, receive, stop_box
from .photos import Photos, gather, notes_html, take_uploads
from .subjects import Subject
from .widgets import decode_slider, duel_slider, live_box

if TYPE_CHECKING:
    import ipywidgets

    from ..classifiers import Classifier
    from ..hierarchy.tree import Hierarchy

PICTURES = "image/*,.csv"
VIEWS = ("Slider", "Exactly N", "The last bytes", "Stop sign", "Duel", "When known")


@dataclass(frozen=True)
class Tools:
    """What the desk works with. rivals: codecs of the duel. size: pixels. rungs: cuts of a slider."""

    codec: ProgressiveCodec
    hierarchy: Hierarchy
    classifier: Classifier
    rivals: tuple[ProgressiveCodec, ...] = ()
    size: int = 256
    rungs: int = 20
    target: float = 0.2

    def rule(self) -> StopRule | None:
        """When a receiver may stop; None where nobody measured it."""
        return shipped_rule(self.codec, self.classifier, self.hierarchy, None, self.target)

    def ladder(self, subject: Subject) -> Ladder:
        """One picture at all cuts of the slider."""
        return climb(
            self.codec,
            subject.image,
            self.hierarchy,
            self.classifier,
            picture=subject.name,
            wnid=subject.wnid,
            rungs=self.rungs,
        )

    def duel(self, subject: Subject, budgets: Sequence[int] = ()) -> list[Ladder]:
        """One picture, a ladder for our codec and each rival, all at the same byte budgets."""
        at = tuple(budgets) or geometric_budgets(8192, 12, first=64)
        options: dict[str, Any] = {"picture": subject.name, "wnid": subject.wnid, "budgets": at, "confidence": False}
        coders = (self.codec, *self.rivals)
        return [climb(each, subject.image, self.hierarchy, self.classifier, **options) for each in coders]

    def duels(self, subjects: Sequence[Subject]) -> dict[str, list[Ladder]]:
        """``duel`` of each picture, by name."""
        return {subject.name: self.duel(subject) for subject in subjects}


def stops(tools: Tools, ladders: Sequence[Ladder]) -> Any:
    """A pandas frame, a row a picture: where a receiver with the stop rule would hang up, and with what answer."""
    import pandas as pd

    rows = []
    for ladder in ladders:
        stream, link = ladder.stream, Link.of(len(ladder.stream))
        *_, last = receive(
            tools.codec, link.packets(stream), tools.hierarchy, tools.classifier, tools.rule(), size_bytes=len(stream)
        )
        row = {"picture": ladder.picture, "stopped": last.enough, "bytes": last.bytes, "of": len(stream)}
        row |= {crumb.level: f"{crumb.name} {crumb.sure:.0%}" for crumb in last.crumbs}
        rows.append(row | {"truth": ladder.truth[-1] if ladder.truth else ""})
    return pd.DataFrame(rows)


def survival(ladders: Sequence[Ladder]) -> Panel:
    """``known_of_ladders``, or the sentence that says why there is none."""
    try:
        return known_of_ladders(ladders)
    except HierlibError as error:
        return Panel(f"<p>{html.escape(str(error))}</p>")


def photo_desk(
    tools: Tools, run_folder: str | Path, photos: Photos | None = None, ladders: Sequence[Ladder] = ()
) -> ipywidgets.Widget:
    """The desk as a widget. photos: what lies on it at first; ladders: of those, if they are made already.

    Uploads and the exported page go to ``run_folder``. The widget's ``pending.wait(seconds)`` waits until it is done.
    """
    return _Desk(tools, Path(run_folder), photos, ladders).box


class _Desk:
    """Controls above, a tab for each view below; a tab is made when its picture is chosen."""

    def __init__(self, tools: Tools, run_folder: Path, photos: Photos | None, ladders: Sequence[Ladder]) -> None:
        import ipywidgets as W

        self.tools, self.run_folder, self.photos = tools, run_folder, photos
        self.ladders: dict[str, Ladder] = {}
        self.shown: Any = None
        self.made: set[int] = set()  # views of the shown picture
        self.folder = W.Text(description="folder", placeholder="/path/to/pictures", layout={"width": "24em"})
        load = W.Button(description="Load folder", icon="folder-open")
        self.upload = W.FileUpload(accept=PICTURES, multiple=True, description="Upload pictures, CSV")
        self.upload.layout.width = "16em"
        self.choice = W.Dropdown(description="picture", options=[])
        self.export = W.Button(description="Export as a page", icon="file-export", layout={"width": "14em"})
        self.status, self.link = W.HTML(), W.HTML()
        self.bar = W.IntProgress(layout={"width": "14em", "visibility": "hidden"})
        self.places = [W.VBox() for _ in VIEWS]  # they stay: new children of a Tab would turn it to its first
        self.tabs = W.Tab(self.places, titles=VIEWS, selected_index=0)
        self.box = W.VBox([
            W.HBox([self.folder, load, self.upload], layout={"flex_flow": "row wrap"}),
            W.HBox([self.choice, self.export, self.bar, self.link], layout={"flex_flow": "row wrap"}),
            self.status,
            self.tabs,
        ])  # fmt: skip
        self.box.add_class("hier-desk")
        self.pending: LatestWins[Callable[[], None]] = LatestWins(lambda work: work(), self.failed)
        self.box.pending = self.pending
        load.on_click(lambda _: self.pending.submit(lambda: self.load(self.folder.value)))
        self.upload.observe(self.taken, "value")
        self.choice.observe(lambda _: self.ask(), "value")
        self.tabs.observe(lambda _: self.ask(), "selected_index")
        self.export.on_click(lambda _: self.pending.submit(self.write))
        if photos is not None:
            self.lay_out(photos, {ladder.picture: ladder for ladder in ladders})

    def taken(self, change: dict[str, Any]) -> None:
        if change["new"]:
            files = {each["name"]: bytes(each["content"]) for each in change["new"]}
            self.pending.submit(lambda: self.load(take_uploads(self.run_folder / "06_uploads", files)))

    def load(self, folder: str | Path) -> None:
        """Take a folder's pictures; what cannot be used is said, and what lay on the desk stays if nothing can."""
        self.lay_out(gather(folder, self.tools.hierarchy, size=self.tools.size))

    def lay_out(self, photos: Photos, ladders: Mapping[str, Ladder] | None = None) -> None:
        self.photos, self.shown = photos, None
        self.ladders = dict(ladders or {})
        self.status.value = notes_html(photos.notes)
        before = self.choice.value
        self.choice.options = [subject.name for subject in photos.subjects]
        self.choice.value = photos.subjects[0].name
        if self.choice.value == before:
            self.pending.submit(self.render)

    def ladder(self, name: str) -> Ladder:
        if name not in self.ladders:
            self.ladders[name] = self.tools.ladder(self.subject(name))
        return self.ladders[name]

    def subject(self, name: str) -> Subject:
        return next(subject for subject in self.subjects if subject.name == name)

    @property
    def notes(self) -> tuple[str, ...]:
        return self.photos.notes if self.photos is not None else ()

    @property
    def subjects(self) -> tuple[Subject, ...]:
        return self.photos.subjects if self.photos is not None else ()

    def ask(self) -> None:
        """Have what is chosen shown, unless nothing is."""
        if self.choice.value:
            self.pending.submit(self.render)

    def render(self) -> None:
        """The chosen picture in the chosen tab; a tab is made when it is first looked at."""
        import ipywidgets as W

        if self.choice.value != self.shown:
            self.made, self.shown = set(), self.choice.value
            for place in self.places:
                place.children = [W.HTML("working ...")]
        at = self.tabs.selected_index or 0
        if at not in self.made:
            try:
                found = self.view(VIEWS[at])
            except HierlibError as error:
                found = W.HTML(f"<p>{html.escape(str(error))}</p>")
            self.made.add(at)
            self.places[at].children = [found]

    def view(self, name: str) -> Any:
        import ipywidgets as W

        tools, ladder, subject = self.tools, self.ladder(self.shown), self.subject(self.shown)
        stream = ladder.stream
        common = (tools.codec, stream, tools.hierarchy, tools.classifier)
        makers: dict[str, Callable[[], Any]] = {
            "Slider": lambda: decode_slider(ladder),
            "Exactly N": lambda: live_box(*common, wnid=subject.wnid),
            "The last bytes": lambda: bought_box(*common, n=len(stream) // 2),
            "Stop sign": lambda: stop_box(*common, tools.rule(), Link.of(len(stream)), wnid=subject.wnid),
            "Duel": lambda: duel_slider(tools.duel(subject)),
            "When known": lambda: W.HTML(survival([self.ladder(each.name) for each in self.subjects]).html),
        }
        return makers[name]()

    def write(self) -> None:
        """One page of all pictures on the desk, beside the results and as a download."""
        subjects = self.subjects
        self.bar.max, self.bar.value, self.bar.layout.visibility = len(subjects) + 1, 0, "visible"
        ladders = []
        for subject in subjects:
            ladders.append(self.ladder(subject.name))
            self.bar.value += 1
        duels = {self.choice.value: self.tools.duel(self.subject(self.choice.value))} if self.tools.rivals else {}
        path = export(self.run_folder / "06_photos.html", ladders, duels, survival(ladders), notes=self.notes).resolve()
        content = base64.b64encode(path.read_bytes()).decode()
        self.bar.layout.visibility = "hidden"
        self.link.value = (
            f'<a download="photographs.html" href="data:text/html;base64,{content}">download the page</a> '
            f"({path.stat().st_size / 1e6:.1f} MB; also at {html.escape(str(path))})"
        )

    def failed(self, error: Exception) -> None:
        self.bar.layout.visibility = "hidden"
        told = str(error) if isinstance(error, HierlibError) else f"{type(error).__name__}: {error}"
        self.status.value = notes_html((told,))
