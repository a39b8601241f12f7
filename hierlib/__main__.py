"""The command line: ``python -m hierlib encode | decode | info | name | send | receive | train | evaluate | ...``.

What is typed, and how mistakes are said; commands.py has what each command does.
Exit codes: 0 well, 2 something the user can mend (one sentence on stderr), 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import commands
from .arguments import budget, budgets, count, port, share
from .errors import HierlibError, refuse

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
    known = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    encode = _command(known, "encode", commands.encode, "write a picture as one progressive stream")
    encode.add_argument("picture", type=Path, help="JPEG, PNG or any other picture file, of any size")
    encode.add_argument("-o", "--output", type=Path, required=True, help="the stream to write (.c2f)")
    encode.add_argument("--bytes", type=budget, metavar="N", help="keep only the first N bytes")
    _takes_model(encode)
    _takes_search(encode)

    decode = _command(known, "decode", commands.decode, "write the picture that a stream, or any prefix of one, shows")
    decode.add_argument("stream", type=Path, help="a file that encode wrote, cut anywhere or whole")
    decode.add_argument("-o", "--output", type=Path, required=True, help="the picture to write (.png, .jpg, ...)")
    decode.add_argument("--bytes", type=budget, metavar="N", help="read only the first N bytes")
    decode.add_argument("--name", action="store_true", help="also say what is on it, at every level")
    _takes_model(decode, reads=True)
    _takes_judges(decode)

    info = _command(known, "info", commands.info, "say what a stream holds")
    info.add_argument("stream", type=Path)
    info.add_argument("--json", action="store_true", help="as JSON")
    _takes_model(info, reads=True)

    name = _command(
        known, "name", commands.name, "say what is on a picture or in a stream, from kind of thing to thing"
    )
    name.add_argument("picture", type=Path, help="a picture file, or a stream (.c2f)")
    name.add_argument("--bytes", type=budget, metavar="N", help="of a stream, read only the first N bytes")
    _takes_model(name, reads=True)
    _takes_judges(name)

    send = _command(known, "send", commands.send, "send a picture or a stream to who listens, until that has enough")
    send.add_argument("file", type=Path, help="a stream (.c2f), or a picture file, which is encoded first")
    _takes_port(send)
    send.add_argument("--bytes-per-s", type=count, metavar="N", help="keep to this bandwidth")
    _takes_model(send)

    receive = _command(
        known, "receive", commands.receive, "show what comes while it comes, and hang up when it is enough"
    )
    _takes_port(receive)
    receive.add_argument("-o", "--output", type=Path, help="where to write the last picture (.png, .jpg, ...)")
    receive.add_argument("--stop-at", metavar="LEVEL", help="hang up when the answer at LEVEL (coarse) is sure enough")
    receive.add_argument(
        "--error", type=share, default=0.2, metavar="RATE", help="of those that stop, how many may be wrong (0.2)"
    )
    _takes_model(receive)
    _takes_judges(receive)

    train = _command(known, "train", commands.train, "train a codec by a recipe; goes on where an earlier run stopped")
    train.add_argument("recipe", help="ci, tiny64-rd, tiny64, photo192, paper, tiny-classifier, ...")
    train.add_argument("--run", type=Path, metavar="FOLDER", help="where checkpoints and metrics go (runs/RECIPE)")
    train.add_argument("--steps", type=count, metavar="N", help="train N steps in all, not the recipe's number")
    train.add_argument(
        "--start-from", default="", metavar="WEIGHTS", help="begin from these: a name, or a .safetensors"
    )
    train.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change the recipe; repeatable"
    )
    train.add_argument("--workers", type=count, metavar="N", help="processes that decode ahead (with CUDA up to 8)")
    train.add_argument("--fresh", action="store_true", help="begin anew even if the folder holds a checkpoint")

    evaluate = _command(known, "evaluate", commands.evaluate, "cut real files at byte budgets and measure what is left")
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
    _takes_search(evaluate)
    evaluate.add_argument("--limit", type=count, metavar="N", help="only N pictures, evenly spread over the pack")

    reproduce = _command(known, "reproduce", commands.reproduce, "run the notebooks with a recipe and write one report")
    reproduce.add_argument("--recipe", default="ci", help="notebooks/recipes/RECIPE.yaml (ci)")
    reproduce.add_argument("--run", type=Path, metavar="FOLDER", help="where everything goes (runs/RECIPE)")
    reproduce.add_argument("--only", nargs="+", metavar="NN", help="only these notebooks, by number: --only 00 03")

    app = _command(known, "app", commands.app, "serve the slider and your own photographs as plain pages (Voila)")
    app.add_argument("--port", type=port, default=8866, help="on this machine only (8866)")
    app.add_argument("--no-browser", action="store_true", help="do not open one")
    return top


def _command(known: Any, name: str, act: Any, says: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = known.add_parser(name, help=says, description=f"{says[0].upper()}{says[1:]}.")
    command.set_defaults(act=act)
    return command


def _takes_model(command: argparse.ArgumentParser, reads: bool = False) -> None:
    """reads: a stream that is at hand, which names its model."""
    default, otherwise = (None, "the one that the stream names") if reads else ("tiny", "tiny")
    says = f"shipped weights, a file, a folder, or owner/name ({otherwise})"
    command.add_argument("--model", default=default, help=says)


def _takes_search(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--refine", type=count, metavar="STEPS", help="search for better symbols, with ours: 60 take 2 s at 64x64"
    )
    command.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="change the recipe it searches by; repeatable"
    )


def _takes_port(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=port, default=8877, help="of the connection (8877)")
    command.add_argument("--host", default="127.0.0.1", help="address of the receiver (127.0.0.1)")


def _takes_judges(command: argparse.ArgumentParser) -> None:
    command.add_argument("--classifier", default="tiny", help="who names it (tiny)")
    command.add_argument(
        "--hierarchy", default="tiny-clip", metavar="TABLE", help="the levels: name or .csv (tiny-clip)"
    )


def _version() -> str:
    from . import __version__

    return f"hierlib {__version__}"


if __name__ == "__main__":
    sys.exit(main())
