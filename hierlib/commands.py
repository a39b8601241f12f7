"""What each command of the command line does: arguments in, calls into the library, words out.

No logic of its own, and nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BitstreamError, BudgetError, RecipeError

if TYPE_CHECKING:
    from .hierarchy.tree import Hierarchy


def encode(arguments: argparse.Namespace) -> None:
    """A picture file -> a stream."""
    from .files import write_bytes
    from .images.pictures import load_picture

    image = load_picture(arguments.picture)
    stream = (_refining(arguments, arguments.model) or _model(arguments.model)).encode(image, arguments.bytes)
    write_bytes(arguments.output, stream)
    bpp = 8 * len(stream) / image[0].numel()
    print(f"{arguments.output}: {len(stream):,} bytes, {bpp:.3f} bits per pixel of {image.shape[2]} x {image.shape[1]}")


def decode(arguments: argparse.Namespace) -> None:
    """A stream, or a prefix of one -> a picture file."""
    from .images.pictures import save_picture

    prefix = _read(arguments.stream, arguments.bytes)
    judge = _judge(arguments) if arguments.name else None
    codec = _model_of(prefix, arguments.model)
    decoded = codec.decode(prefix)
    save_picture(decoded.image, arguments.output)
    facts = (
        "complete" if decoded.complete else "cut",
        f"{decoded.level} of {codec.levels} levels",
        f"{decoded.bytes_used:,} of {len(prefix):,} bytes used",
        f"{decoded.symbols:,} of {decoded.symbols_total:,} symbols",
    )
    print(f"{arguments.output}: {', '.join(facts)}")
    if judge is not None:
        _say(*judge, decoded.image)


def info(arguments: argparse.Namespace) -> None:
    """What a stream holds, in words or as JSON."""
    stream = _read(arguments.stream)
    found = _model_of(stream, arguments.model).info(stream)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    width = max(map(len, found))
    for key, value in found.items():
        print(f"{key.replace('_', ' '):{width}}  {_words(value)}")


def name(arguments: argparse.Namespace) -> None:
    """What is on a picture or in a stream, at every level."""
    from .images.pictures import load_picture

    if arguments.picture.suffix == ".c2f":
        prefix = _read(arguments.picture, arguments.bytes)
        image = _model_of(prefix, arguments.model).decode(prefix).image
    elif arguments.bytes is not None:
        raise BudgetError(f"{arguments.picture} is no stream (.c2f): --bytes is only for streams; encode it first.")
    else:
        image = load_picture(arguments.picture)
    _say(*_judge(arguments), image)


def send(arguments: argparse.Namespace) -> None:
    """To who listens, until that hangs up."""
    from .images.pictures import load_picture
    from .views.wire import send

    if arguments.file.suffix == ".c2f":
        stream = _read(arguments.file)
    else:
        stream = _model(arguments.model).encode(load_picture(arguments.file))
    sent = send(stream, arguments.port, arguments.host, bytes_per_s=arguments.bytes_per_s)
    print(f"{sent:,} of {len(stream):,} bytes sent" + ("" if sent == len(stream) else ": the other side had enough"))


def receive(arguments: argparse.Namespace) -> None:
    """Line by line what comes, until the sender ends or the stop rule says that it is enough."""
    from .evaluation.stopping import shipped_rule
    from .images.pictures import save_picture
    from .views.link import receive
    from .views.wire import listen

    codec, (classifier, hierarchy) = _model(arguments.model), _judge(arguments)
    rule = None
    if arguments.stop_at:
        hierarchy.level(arguments.stop_at)
        rule = shipped_rule(codec, classifier, hierarchy, arguments.stop_at, arguments.error)
        if rule is None:
            raise BudgetError(
                "No stop rule was measured for this model, classifier and hierarchy: leave --stop-at out, or use tiny."
            )
        print(rule)
    print(f"listening at {arguments.host}:{arguments.port}", flush=True)
    look = None
    for look in receive(codec, listen(arguments.port, arguments.host), hierarchy, classifier, rule):
        answer = ", ".join(f"{crumb.name} {crumb.sure:.0%}" for crumb in look.crumbs)
        print(f"{look.time_s:6.2f} s {look.bytes:7,} bytes  {answer}{'  enough' if look.enough else ''}", flush=True)
    if look is None:
        raise BitstreamError("Nothing came before the sender hung up: send a picture or a stream (.c2f).")
    if arguments.output:
        save_picture(look.decoded.image, arguments.output)


def train(arguments: argparse.Namespace) -> None:
    """By a recipe; the path of the weights."""
    from .training.start import start

    a = arguments
    folder = a.run or Path("runs") / a.recipe
    options = {"steps": a.steps, "start_from": a.start_from, "changes": a.set, "workers": a.workers}
    print(start(a.recipe, folder, resume=not a.fresh, **options))


def evaluate(arguments: argparse.Namespace) -> None:
    """Measure a codec and write its results; the table of means."""
    from .classifiers import load as load_classifier
    from .evaluation import evaluate
    from .evaluation.ladder import jpeg_ai
    from .evaluation.ranks import ranks
    from .evaluation.results import writable
    from .hierarchy import load as load_hierarchy

    partial = writable(arguments.output).with_suffix(".partial.jsonl")  # the same command goes on from it
    codec = _refining(arguments, arguments.codec) or _codec(arguments.codec)
    hierarchy = load_hierarchy(arguments.hierarchy)
    pictures = _pictures(arguments.pictures, arguments.limit)
    judges = [load_classifier(name) for name in arguments.classifier or ["tiny"]]
    budgets = {*arguments.budgets, *(jpeg_ai(*pictures[0].shape[1:]) if arguments.jpeg_ai else ())}
    lpips = None
    if arguments.lpips:
        from .evaluation.perceptual import Lpips

        lpips = Lpips()
    ends = not arguments.no_level_ends
    results = evaluate(
        codec, pictures, hierarchy, judges, sorted(budgets), level_ends=ends, resume=partial, lpips=lpips
    )
    if not ranks().keep(results, arguments.output, partial):
        return
    shown = ["classifier", "point", "bytes", "psnr_db", "ms_ssim", *(f"right_{level}" for level in hierarchy.levels)]
    print(results.table().to_string(columns=shown, index=False, float_format="{:.3f}".format))
    print(f"{arguments.output}: {len(results.rows):,} rows")


def reproduce(arguments: argparse.Namespace) -> None:
    """Run the notebooks; the report."""
    from .views.reproduce import reproduce

    reproduce(arguments.recipe, arguments.run or Path("runs") / arguments.recipe, only=arguments.only)


def app(arguments: argparse.Namespace) -> None:
    """Serve the pages until interrupted."""
    from .views.app import serve

    serve(arguments.port, browser=not arguments.no_browser)


def _read(path: Path, length_bytes: int | None = None) -> bytes:
    if not path.is_file():
        raise BitstreamError(
            f"{path} is {'a folder' if path.is_dir() else 'not there'}: name a file that encode wrote."
        )
    with path.open("rb") as stream:
        prefix = stream.read(-1 if length_bytes is None else length_bytes)
    if not prefix:
        raise BitstreamError(f"{path} is empty: one byte at least is needed; encode the picture again.")
    return prefix


def _model(name: str) -> Any:
    from .baselines import load_weights

    return load_weights(name)


def _refining(arguments: argparse.Namespace, name: str) -> Any:
    """The model with an encoder that searches; None if that was not asked for."""
    if arguments.refine is None:
        if arguments.set:
            raise RecipeError("--set changes what an encoder searches by: give --refine STEPS too.")
        return None
    from .training import refine

    return refine.load(name, refine.Search(steps=arguments.refine), arguments.set)


def _model_of(stream: bytes, name: str | None) -> Any:
    """The model that was asked for; if none was, the one that the stream says wrote it."""
    from .baselines import load_for

    return load_for(stream) if name is None else _model(name)


def _codec(name: str) -> Any:
    from .baselines import load

    return load(name)


def _pictures(name: str, limit: int | None) -> Any:
    if name == "shapes":
        from .images.shapes import shapes

        return shapes(limit or 1000)
    from .images.packs import open_pack

    pictures = open_pack(name)
    count = min(limit or len(pictures), len(pictures))
    return pictures.subset([i * len(pictures) // count for i in range(count)])


def _judge(arguments: argparse.Namespace) -> tuple[Any, Hierarchy]:
    from .classifiers import load as load_classifier
    from .hierarchy import load as load_hierarchy

    hierarchy = load_hierarchy(arguments.hierarchy)
    classifier = load_classifier(arguments.classifier)
    return classifier, hierarchy.restrict(classifier.wnids)


def _say(classifier: Any, hierarchy: Hierarchy, image: Any) -> None:
    """The verdict at each level with its confidence."""
    import torch

    with torch.inference_mode():
        logits = classifier(image[None])[0]
    for level, (group, probability) in zip(hierarchy.levels, hierarchy.breadcrumb(logits)):
        print(f"{level:12}  {probability:4.0%}  {group}")


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_words, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
