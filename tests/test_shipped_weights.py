"""The weights that travel with the project say who they are, and the cards are of these very files."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from hierlib.files import digest, shipped

FILES = sorted(shipped("checkpoints").glob("*.safetensors"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_has_the_name_that_it_gives_itself(path: Path) -> None:
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["about"])["name"] == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_card_is_of_this_file(path: Path) -> None:
    card = shipped("checkpoints", "README.md").read_text(encoding="utf-8")
    assert digest(path) in card
