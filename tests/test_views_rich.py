"""A bare object on a cell's last line: a picture or a table, and its numbers are the object's."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from codec_toys import toy_codec
from views_toys import ByColour, Pyramid, hierarchy, picture

import hierlib
from hierlib import baselines, classifiers
from hierlib.images.shapes import shapes
from hierlib.training.start import codec_recipe
from hierlib.views import rich
from hierlib.views.ladder import climb
from hierlib.views.shown import TYPES

ADDRESS = re.compile(r"object at 0x|&lt;hierlib|&lt;function")


@pytest.fixture(scope="module")
def shell():
    from IPython.core.interactiveshell import InteractiveShell

    return InteractiveShell.instance()


def shown(shell, value) -> str:
    from hierlib.views.shown import register

    assert register()
    return shell.display_formatter.format(value)[0].get("text/html", "")


def objects() -> dict:
    codec = toy_codec()
    stream = codec.encode(shapes(1)[0])
    ladder = climb(Pyramid(), picture("red"), hierarchy(), ByColour(), wnid="red", rungs=6)
    results = hierlib.evaluate(
        baselines.load("jpeg"), shapes(2), hierlib.Hierarchy.load("shapes"), [classifiers.load("shapes")], [512]
    )
    return {
        "Decoded": (codec.decode(stream[:60]), "in use"),
        "Hierarchy": (hierarchy(), "<details"),
        "HierCodec": (codec, codec.fingerprint.hex()),
        "JPEG 2000": (baselines.load("jpeg2000"), "codec jpeg2000"),
        "JPEG": (baselines.load("jpeg"), "codec jpeg"),
        "WebP": (baselines.load("webp-fresh"), "codec webp-fresh"),
        "classifier": (classifiers.load("shapes"), "18"),
        "Results": (results, "right_family"),
        "Recipe": (codec_recipe("ci"), "batch_size"),
        "PictureSet": (shapes(3), "3 pictures"),
        "Ladder": (ladder, "pyramid"),
        "Rung": (ladder.rungs[-1], "red</b> ✓"),
    }


def test_every_object_shows_itself(shell) -> None:
    for name, (value, word) in objects().items():
        page = shown(shell, value)
        assert word in page, (name, page[:500])
        assert not ADDRESS.search(page), name
        assert all('alt="' in tag for tag in re.findall(r"<img [^>]*>", page)), name


def test_every_registered_type_and_its_formatter_are_there() -> None:
    from importlib import import_module

    for (module, name), how in TYPES.items():
        assert hasattr(import_module(module), name)
        assert callable(getattr(rich, how))


def test_importing_hierlib_outside_a_notebook_imports_no_views() -> None:
    code = "import sys, hierlib; print([m for m in sys.modules if m.startswith('hierlib.views') or m == 'torch'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
