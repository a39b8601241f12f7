"""The command line: ``python -m hierlib encode | decode | info | name | send | receive | train | evaluate | ...``.

Arguments in, calls into the library, words out; no logic of its own, and nothing heavy is imported before it is needed.
Exit codes: 0 well, 2 something the user can mend (one sentence on stderr), 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import budget, budgets, count, port, share
from .errors import BitstreamError, BudgetError, HierlibError, refuse

if TYPE_CHECKING:
    from .hierarchy.tree import Hierarchy

BUDGETS = (64, 128, 256, 512, 1024, 2048, 4096, 8192)  # bytes; doubling, because accuracy grows with log-bytes


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. ``argv``: the arguments, ``sys.argv[1:]`` if None."""
    try:
        arguments = parser().parse_args(argv)
        arguments.act(arguments)
    except HierlibError as error:
        return refuse(error)
    except OSError as error:
        if error.filename is None:  # not about a file the user named: a mistake of ours, to be seen in full
            raise
        at_fault = error.filename2 or error.filename  # of a rename, the target
        return refuse(f"{at_fault} cannot be used ({error.strerror}): name another place, or mend its permissions.")
    except KeyboardInterrupt:
        print("hierlib: interrupted; what was finished is kept, nothing is half-written.", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments."""
    says = "A picture becomes one byte string; any prefix of it decodes."
    top = argparse.ArgumentParser(prog="hierlib", description=says)
    top.add_argument("--version", action="version", version=_version())
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    encode = _command(commands, "encode", _encode, "write a picture as one progressive stream")
    encode.add_argument("picture", type=Path, help="JPEG, PNG or any other picture file, of any size")
    encode.add_argument("-o", "--output", type=Path, required=True, help="the stream to write (.c2f)")
    encode.add_argument("--bytes", type=budget, metavar="N", help="keep only the first N bytes")
    _takes_model(encode)

    decode = _command(commands, "decode", _decode, "write the picture that a stream, or any prefix of one, shows")
    decode.add_argument("stream", type=Path, help="a file that encode wrote, cut anywhere or whole")
    decode.add_argument("-o", "--output", type=Path, required=True, help="the picture to write (.png, .jpg, ...)")
    decode.add_argument("--bytes", type=budget, metavar="N", help="read only the first N bytes")
    decode.add_argument("--name", action="store_true", help="also say what is on it, at every level")
    _takes_model(decode)
    _takes_judges(decode)

    info = _command(commands, "info", _info, "say what a stream holds")
    info.add_argument("stream", type=Path)
    info.add_argument("--json", action="store_true", help="as JSON")
    _takes_model(info)

    name = _command(commands, "name", _name, "say what is on a picture or in a stream, from kind of thing to thing")
    name.add_argument("picture", type=Path, help="a picture file, or a stream (.c2f)")
    name.add_argument("--bytes", type=budget, metavar="N", help="of a stream, read only the first N bytes")
    _takes_model(name)
    _takes_judges(name)

    send = _command(commands, "send", _send, "send a picture or a stream to who listens, until that has enough")
    send.add_argument("file", type=Path, help="a stream (.c2f), or a picture file, which is encoded first")
    _takes_port(send)
    send.add_argument("--bytes-per-s", type=count, metavar="N", help="keep to this bandwidth")
    _takes_model(send)

    receive = _command(commands, "receive", _receive, "show what comes while it comes, and hang up when it is enough")
    _takes_port(receive)
    receive.add_argument("-o", "--output", type=Path, help="where to write the last picture (.png, .jpg, ...)")
    receive.add_argument("--stop-at", metavar="LEVEL", help="hang up when the answer at LEVEL (coarse) is sure enough")
    receive.add_argument(
        "--error", type=share, default=0.2, metavar="RATE", help="of those that stop, how many may be wrong (0.2)"
    )
    _takes_model(receive)
    _takes_judges(receive)

    train = _command(commands, "train", _train, "train a codec by a recipe; goes on where an earlier run stopped")
    train.add_argument("recipe", help="ci, tiny64-rd, tiny64, photo224, paper, tiny-classifier, ...")
    train.add_argument("--run", type=Path, metavar="FOLDER", help="where checkpoints and metrics go (runs/RECIPE)")
    train.add_argument("--steps", type=count, metavar="N", help="train N steps in all, not the recipe's number")
    train.add_argument(
        "--start-from", default="", metavar="WEIGHTS", help="begin from these: a name, or a .safetensors"
    )
    train.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change the recipe; repeatable"
    )
    train.add_argument("--workers", type=count, metavar="N", help="processes that decode pictures ahead (8 with CUDA)")
    train.add_argument("--fresh", action="store_true", help="begin anew even if the folder holds a checkpoint")

    evaluate = _command(commands, "evaluate", _evaluate, "cut real files at byte budgets and measure what is left")
    evaluate.add_argument("-o", "--output", type=Path, required=True, help="results to write (.json)")
    evaluate.add_argument("--codec", default="tiny", help="a model's name or path, jpeg2000, jpeg-best, ... (tiny)")
    evaluate.add_argument(
        "--pictures",
        default="tiny-imagenet-val",
        metavar="PACK",
        help="a pack in HIERLIB_DATA, or shapes (tiny-imagenet-val)",
    )
    evaluate.add_argument("--hierarchy", default="tiny-clip", metavar="TABLE", help="name or .csv (tiny-clip)")
    evaluate.add_argument("--classifier", action="append", metavar="NAME", help="may be repeated (tiny)")
    evaluate.add_argument("--budgets", type=budgets, default=BUDGETS, metavar="N,N,...", help="bytes (64,...,8192)")
    evaluate.add_argument("--jpeg-ai", action="store_true", help="also at JPEG AI's rates for this size of picture")
    evaluate.add_argument("--lpips", action="store_true", help="measure LPIPS too (pip install 'hierlib[lpips]')")
    evaluate.add_argument("--no-level-ends", action="store_true", help="cut at the budgets only")
    evaluate.add_argument("--limit", type=count, metavar="N", help="only N pictures, evenly spread over the pack")

    reproduce = _command(commands, "reproduce", _reproduce, "run the notebooks with a recipe and write one report")
    reproduce.add_argument("--recipe", default="ci", help="notebooks/recipes/RECIPE.yaml (ci)")
    reproduce.add_argument("--run", type=Path, metavar="FOLDER", help="where everything goes (runs/RECIPE)")
    reproduce.add_argument("--only", nargs="+", metavar="NN", help="only these notebooks, by number: --only 00 03")

    app = _command(commands, "app", _app, "serve the slider and your own photographs as plain pages (Voila)")
    app.add_argument("--port", type=port, default=8866, help="on this machine only (8866)")
    app.add_argument("--no-browser", action="store_true", help="do not open one")
    return top


def _encode(arguments: argparse.Namespace) -> None:
    from .files import write_bytes
    from .images.pictures import load_picture

    image = load_picture(arguments.picture)
    stream = _model(arguments.model).encode(image, arguments.bytes)
    write_bytes(arguments.output, stream)
    bpp = 8 * len(stream) / image[0].numel()
    print(f"{arguments.output}: {len(stream):,} bytes, {bpp:.3f} bits per pixel of {image.shape[2]} x {image.shape[1]}")


def _decode(arguments: argparse.Namespace) -> None:
    from .images.pictures import save_picture

    prefix = _read(arguments.stream, arguments.bytes)
    judge = _judge(arguments) if arguments.name else None
    codec = _model(arguments.model)
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


def _info(arguments: argparse.Namespace) -> None:
    stream = _read(arguments.stream)
    found = _model(arguments.model).info(stream)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    width = max(map(len, found))
    for key, value in found.items():
        print(f"{key.replace('_', ' '):{width}}  {_words(value)}")


def _name(arguments: argparse.Namespace) -> None:
    from .images.pictures import load_picture

    if arguments.picture.suffix == ".c2f":
        prefix = _read(arguments.picture, arguments.bytes)
        image = _model(arguments.model).decode(prefix).image
    elif arguments.bytes is not None:
        raise BudgetError(f"{arguments.picture} is no stream (.c2f): --bytes is only for streams; encode it first.")
    else:
        image = load_picture(arguments.picture)
    _say(*_judge(arguments), image)


def _send(arguments: argparse.Namespace) -> None:
    from .images.pictures import load_picture
    from .views.wire import send

    if arguments.file.suffix == ".c2f":
        stream = _read(arguments.file)
    else:
        stream = _model(arguments.model).encode(load_picture(arguments.file))
    sent = send(stream, arguments.port, arguments.host, bytes_per_s=arguments.bytes_per_s)
    print(f"{sent:,} of {len(stream):,} bytes sent" + ("" if sent == len(stream) else ": the other side had enough"))


def _receive(arguments: argparse.Namespace) -> None:
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


def _train(arguments: argparse.Namespace) -> None:
    from .training.start import start

    a = arguments
    folder = a.run or Path("runs") / a.recipe
    options = {"steps": a.steps, "start_from": a.start_from, "changes": a.set, "workers": a.workers}
    print(start(a.recipe, folder, resume=not a.fresh, **options))


def _evaluate(arguments: argparse.Namespace) -> None:
    from .classifiers import load as load_classifier
    from .evaluation import evaluate
    from .evaluation.ladder import jpeg_ai
    from .evaluation.ranks import ranks
    from .hierarchy import load as load_hierarchy

    codec, hierarchy = _codec(arguments.codec), load_hierarchy(arguments.hierarchy)
    pictures = _pictures(arguments.pictures, arguments.limit)
    judges = [load_classifier(name) for name in arguments.classifier or ["tiny"]]
    budgets = {*arguments.budgets, *(jpeg_ai(*pictures[0].shape[1:]) if arguments.jpeg_ai else ())}
    partial = arguments.output.with_suffix(".partial.jsonl")  # the same command goes on from it after an interruption
    lpips = None
    if arguments.lpips:
        from .evaluation.perceptual import Lpips

        lpips = Lpips()
    ends = not arguments.no_level_ends
    results = evaluate(
        codec, pictures, hierarchy, judges, sorted(budgets), level_ends=ends, resume=partial, lpips=lpips
    )
    if (own := ranks()).rank > 0:  # under torchrun all have the same results, one writes them
        return
    results.save(arguments.output)
    for path in own.all(partial):
        path.unlink(missing_ok=True)
    shown = ["classifier", "point", "bytes", "psnr_db", "ms_ssim", *(f"right_{level}" for level in hierarchy.levels)]
    print(results.table().to_string(columns=shown, index=False, float_format="{:.3f}".format))
    print(f"{arguments.output}: {len(results.rows):,} rows")


def _reproduce(arguments: argparse.Namespace) -> None:
    from .views.reproduce import reproduce

    reproduce(arguments.recipe, arguments.run or Path("runs") / arguments.recipe, only=arguments.only)


def _app(arguments: argparse.Namespace) -> None:
    from .views.app import serve

    serve(arguments.port, browser=not arguments.no_browser)


def _command(commands: Any, name: str, act: Any, says: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=says, description=f"{says[0].upper()}{says[1:]}.")
    command.set_defaults(act=act)
    return command


def _takes_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default="tiny", help="shipped weights, a file, a folder, or owner/name (tiny)")


def _takes_port(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=port, default=8877, help="of the connection (8877)")
    command.add_argument("--host", default="127.0.0.1", help="address of the receiver (127.0.0.1)")


def _takes_judges(command: argparse.ArgumentParser) -> None:
    command.add_argument("--classifier", default="tiny", help="who names it (tiny)")
    command.add_argument(
        "--hierarchy", default="tiny-clip", metavar="TABLE", help="the levels: name or .csv (tiny-clip)"
    )


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


def _version() -> str:
    from . import __version__

    return f"hierlib {__version__}"


if __name__ == "__main__":
    sys.exit(main())
