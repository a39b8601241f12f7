"""Files are written whole or not at all, and are looked for where they should be."""

import hashlib
import json
import os
import stat

import pytest

from hierlib import files
from hierlib.errors import DataError


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_and_makes_the_folder(tmp_path):
    files.write_bytes(tmp_path / "deep" / "er" / "a.bin", b"\x00\xff")
    assert contents(tmp_path / "deep" / "er") == {"a.bin": b"\x00\xff"}


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_debris(tmp_path, failure):
    target = tmp_path / "a.txt"
    target.write_bytes(b"old")
    with pytest.raises(failure), files.replacing(target) as temporary:
        temporary.write_bytes(b"half of the n")
        raise failure
    assert contents(tmp_path) == {"a.txt": b"old"}


def test_a_failure_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(RuntimeError), files.replacing(tmp_path / "a.txt") as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert contents(tmp_path) == {}


def test_temporary_keeps_the_suffix_and_the_folder(tmp_path):
    # libraries choose the format by suffix, and a rename is atomic within one folder only
    with files.replacing(tmp_path / "picture.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"x")


def test_a_new_file_has_the_rights_of_an_ordinary_one(tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    files.write_bytes(tmp_path / "ours", b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("ordinary", "ours")]
    assert modes[0] == modes[1]


def test_json_is_readable_and_refuses_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"bpp": 0.25, "names": ["a"]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"bpp": 0.25, "names": ["a"]}
    with pytest.raises(ValueError, match=r"nan|NaN|JSON"):
        files.write_json(tmp_path / "b.json", {"psnr": float("nan")})
    assert not (tmp_path / "b.json").exists()


def test_digest_is_the_beginning_of_sha256(tmp_path):
    (tmp_path / "w").write_bytes(b"weights" * 1000)
    assert files.digest(tmp_path / "w") == hashlib.sha256(b"weights" * 1000).hexdigest()[:16]


def test_shipped_names_what_is_missing():
    with pytest.raises(DataError, match="checkpoints/no-such-weights"):
        files.shipped("checkpoints", "no-such-weights.safetensors")


def test_shipped_prefers_the_checkout_and_falls_back_to_the_wheel(tmp_path, monkeypatch):
    package = tmp_path / "hierlib"
    for folder in (tmp_path / "data", package / "_data"):
        folder.mkdir(parents=True)
        (folder / "both").write_bytes(b"")
    (package / "_data" / "wheel-only").write_bytes(b"")
    monkeypatch.setattr(files, "PACKAGE", package)
    assert files.shipped("both") == tmp_path / "data" / "both"
    assert files.shipped("wheel-only") == package / "_data" / "wheel-only"


def test_data_root_is_what_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.delenv("HIERLIB_DATA", raising=False)
    assert files.data_root() is None
    monkeypatch.setenv("HIERLIB_DATA", str(tmp_path))
    assert files.data_root() == tmp_path
    monkeypatch.setenv("HIERLIB_DATA", str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"HIERLIB_DATA names .*gone, which is no folder"):
        files.data_root()


def test_the_home_folder_may_be_abbreviated(tmp_path, monkeypatch):
    (tmp_path / "packs").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HIERLIB_DATA", "~" + os.sep + "packs")
    assert files.data_root() == tmp_path / "packs"
