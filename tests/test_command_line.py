"""The command line end to end: above all what it says when something is wrong, and that nothing is half-written."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

import hierlib
from hierlib.__main__ import main
from hierlib.images.pictures import demonstration, load_picture, save_picture


@pytest.fixture(scope="module")
def codec():
    return hierlib.load("tiny")


@pytest.fixture(scope="module")
def stream(codec):
    return codec.encode(demonstration(64, ("chelsea",))["chelsea"])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of good and bad files to stand in."""
    monkeypatch.chdir(tmp_path)
    image = demonstration(96, ("chelsea",))["chelsea"][:, :, :71]
    save_picture(image, tmp_path / "photo.jpg")
    (tmp_path / "notes.txt").write_text("no picture at all\n")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "photo.jpg").read_bytes()[:500])
    (tmp_path / "empty.c2f").write_bytes(b"")
    (tmp_path / "table.csv").write_text("this,is,no,hierarchy\n1,2,3,4\n")
    (tmp_path / "folder").mkdir()
    return tmp_path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(capsys, *arguments):
    """Run what must be refused: exit code 2, one sentence, no traceback. Returns the sentence."""
    try:
        code = main(arguments)
    except SystemExit as left:  # argparse: a usage line comes before the sentence
        code = left.code
    said = capsys.readouterr()
    assert code == 2, said
    assert "Traceback" not in said.err
    *before, sentence = said.err.strip().splitlines()
    assert all(re.match(r"usage:|\s", line) for line in before), said.err
    assert sentence.startswith("hierlib"), said.err
    return sentence


BAD = {
    "no picture": ("encode notes.txt -o out.c2f", r"notes\.txt is no picture"),
    "a cut picture": ("encode cut.jpg -o out.c2f", r"cut\.jpg cannot be read"),
    "a folder as picture": ("encode folder -o out.c2f", "folder is a folder"),
    "a missing picture": ("encode gone.jpg -o out.c2f", r"gone\.jpg is not there"),
    "a missing stream": ("decode gone.c2f -o out.png", r"gone\.c2f is not there"),
    "a folder as stream": ("info folder", "folder is a folder"),
    "an empty stream": ("decode empty.c2f -o out.png", r"empty\.c2f is empty"),
    "an empty stream to describe": ("info empty.c2f", r"empty\.c2f is empty"),
    "an empty stream to name": ("name empty.c2f", r"empty\.c2f is empty"),
    "a text as stream": ("decode notes.txt -o out.png", "."),
    "a picture as stream": ("decode photo.jpg -o out.png", "."),
    "budget 0": ("encode photo.jpg -o out.c2f --bytes 0", "0 bytes holds nothing"),
    "budget -1": ("encode photo.jpg -o out.c2f --bytes -1", "-1 bytes holds nothing"),
    "budget -1 of a stream": ("decode photo.c2f -o out.png --bytes=-1", "-1 bytes holds nothing"),
    "budget of words": ("encode photo.jpg -o out.c2f --bytes many", "'many' is no number of bytes"),
    "budget of a fraction": ("encode photo.jpg -o out.c2f --bytes 1.5", "'1.5' is no number of bytes"),
    "a bad budget among good ones": (
        "evaluate --pictures shapes --budgets 64,0,256 -o out.json",
        "0 bytes holds nothing",
    ),
    "a hole among budgets": ("evaluate --pictures shapes --budgets 64,,256 -o out.json", "'' is no number of bytes"),
    "an unknown model": ("encode photo.jpg -o out.c2f --model no-such-model", "no-such-model"),
    "an unknown model to read": ("decode photo.jpg -o out.png --model no-such-model", "no-such-model"),
    "an unknown codec": ("evaluate --codec no-such-codec --pictures shapes --limit 1 -o out.json", "no-such-codec"),
    "results of no known kind": ("evaluate --pictures shapes --limit 1 -o out", r"\.json or \.parquet; out is neither"),
    "an unknown classifier": ("name photo.jpg --classifier no-such-net", "no-such-net"),
    "an unknown hierarchy": ("name photo.jpg --hierarchy no-such-tree", "no-such-tree"),
    "a table that is none": ("name photo.jpg --hierarchy table.csv", "table"),
    "a budget for a picture": ("name photo.jpg --bytes 100", "no stream"),
    "no data folder": ("evaluate --pictures tiny-imagenet-val -o out.json", "HIERLIB_DATA"),
    "an unknown recipe to train": ("train no-such-recipe --run runs/x", "no-such-recipe"),
    "a recipe whose pictures are not there": ("train tiny64 --run runs/x", "HIERLIB_DATA"),
    "an unknown recipe to reproduce": ("reproduce --recipe no-such-recipe --run runs/x", "no-such-recipe"),
    "an unknown notebook": ("reproduce --only 77 --run runs/x", "77"),
    "a recipe's field that is not there": ("train ci --set colour=red --run runs/x", "'colour=red' sets no field"),
    "a value of another type": ("train ci --set batch_size=many --run runs/x", "batch_size is 16"),
    "steps of nothing": ("train ci --steps 0 --run runs/x", "whole number above 0"),
    "a picture to send that is none": ("send notes.txt", r"notes\.txt is no picture"),
    "an empty stream to send": ("send empty.c2f", r"empty\.c2f is empty"),
    "a port that is none": ("send photo.jpg --port 70000", "'70000' is no port"),
    "an error rate that is none": ("receive --stop-at coarse --error 1.5", "'1.5' is no error rate"),
    "a level that is not there": ("receive --stop-at kingdom", "'kingdom'"),
    "an unknown command": ("encrypt photo.jpg", "invalid choice"),
    "no command": ("", "COMMAND"),
    "no output": ("encode photo.jpg", "output"),
    "an output that is a folder": ("encode photo.jpg -o folder", "folder"),
    "an output in a file": ("encode photo.jpg -o notes.txt/out.c2f", "notes.txt"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_in_one_sentence_and_leaves_everything_as_it_was(here, no_data, capsys, case):
    command, says = BAD[case]
    before = contents(here)
    assert re.search(says, refusal(capsys, *command.split()))
    assert contents(here) == before


def test_refuses_to_write_a_picture_without_a_format(here, capsys, stream):
    (here / "photo.c2f").write_bytes(stream)
    before = contents(here)
    assert "out.xyz" in refusal(capsys, "decode", "photo.c2f", "-o", "out.xyz")
    assert contents(here) == before


def test_refuses_a_data_folder_that_is_not_there(here, monkeypatch, capsys):
    monkeypatch.setenv("HIERLIB_DATA", str(here / "gone"))
    assert "HIERLIB_DATA" in refusal(capsys, "evaluate", "-o", "out.json")


def test_refuses_a_pack_that_is_not_there_and_says_which_are(here, monkeypatch, capsys):
    monkeypatch.setenv("HIERLIB_DATA", str(here))
    assert "no-such-pack" in refusal(capsys, "evaluate", "--pictures", "no-such-pack", "-o", "out.json")


def test_the_shell_sees_exit_code_2_and_no_traceback(here):
    command = [sys.executable, "-m", "hierlib", "encode", "notes.txt", "-o", "out.c2f"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hierlib: notes.txt is no picture")
    assert done.stderr.count("\n") == 1


def test_interruption_exits_with_130_and_leaves_nothing(here, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hierlib.images.pictures.load_picture", interrupted)
    before = contents(here)
    assert main(["encode", "photo.jpg", "-o", "out.c2f"]) == 130
    assert "Traceback" not in capsys.readouterr().err
    assert contents(here) == before


def test_a_mistake_of_ours_is_not_dressed_up_as_one_of_the_user(here, monkeypatch):
    def broken(*_):
        raise OSError("connection lost")

    monkeypatch.setattr("hierlib.images.pictures.load_picture", broken)
    with pytest.raises(OSError, match="connection lost"):
        main(["encode", "photo.jpg", "-o", "out.c2f"])


def test_help_and_version(capsys):
    for arguments in (["--help"], ["evaluate", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 0
    assert capsys.readouterr().out.strip().endswith(hierlib.__version__)


def test_a_photograph_goes_there_and_back(here, codec, capsys):
    assert main(["encode", "photo.jpg", "-o", "photo.c2f"]) == 0
    written = (here / "photo.c2f").read_bytes()
    assert written == codec.encode(load_picture("photo.jpg"))
    assert f"{len(written):,} bytes" in capsys.readouterr().out
    assert main(["decode", "photo.c2f", "-o", "out.png"]) == 0
    assert "complete" in capsys.readouterr().out
    shown = load_picture("out.png")
    assert shown.shape == (3, 96, 71)
    error = ((shown - load_picture("photo.jpg")) ** 2).mean()
    assert error < 0.5 * load_picture("photo.jpg").var()  # far better than any one colour


def test_a_stream_says_which_model_reads_it(here, capsys):
    assert main(["encode", "photo.jpg", "-o", "photo.c2f", "--model", "plonq", "--bytes", "120"]) == 0
    assert main(["decode", "photo.c2f", "-o", "found.png"]) == 0
    assert main(["decode", "photo.c2f", "-o", "asked.png", "--model", "plonq"]) == 0
    assert (here / "found.png").read_bytes() == (here / "asked.png").read_bytes()
    capsys.readouterr()
    assert main(["info", "photo.c2f", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "plonq"
    assert main(["name", "photo.c2f", "--hierarchy", "tiny-clip"]) == 0
    assert "decode it with plonq" in refusal(capsys, "decode", "photo.c2f", "-o", "out.png", "--model", "tiny")


def test_encoding_to_a_budget_is_cutting_the_file(here, capsys):
    assert main(["encode", "photo.jpg", "-o", "whole.c2f"]) == 0
    assert main(["encode", "photo.jpg", "-o", "short.c2f", "--bytes", "150"]) == 0
    assert (here / "short.c2f").read_bytes() == (here / "whole.c2f").read_bytes()[:150]


def test_reading_a_budget_is_reading_a_cut_file(here, stream, capsys):
    (here / "whole.c2f").write_bytes(stream)
    (here / "short.c2f").write_bytes(stream[:150])
    assert main(["decode", "whole.c2f", "-o", "a.png", "--bytes", "150"]) == 0
    assert main(["decode", "short.c2f", "-o", "b.png"]) == 0
    assert (here / "a.png").read_bytes() == (here / "b.png").read_bytes()
    first, second = capsys.readouterr().out.splitlines()
    assert first.removeprefix("a.png") == second.removeprefix("b.png")
    assert "cut" in first


@pytest.mark.parametrize("length_bytes", [1, 2, 3, 5, 8, 13, 21])
def test_the_shortest_prefixes_decode_or_are_refused_in_a_sentence(here, stream, capsys, length_bytes):
    (here / "short.c2f").write_bytes(stream[:length_bytes])
    before = contents(here)
    code = main(["decode", "short.c2f", "-o", "out.png"])
    said = capsys.readouterr()
    if code == 0:
        assert np.asarray(Image.open("out.png")).ndim == 3
    else:
        assert code == 2
        assert said.err.startswith("hierlib: ")
        assert contents(here) == before


@pytest.mark.parametrize(
    ("says", "damage"),
    [
        ("no hierlib stream", lambda stream: bytes([stream[0] ^ 0x55]) + stream[1:]),
        ("version", lambda stream: stream[:1] + bytes([stream[1] ^ 2]) + stream[2:]),
        ("made by model", lambda stream: stream[:3] + bytes([stream[3] ^ 1]) + stream[4:]),
        ("damaged", lambda stream: stream[:-1] + bytes([stream[-1] ^ 1])),
        ("bytes follow the end", lambda stream: stream + b"more"),
    ],
    ids=["magic", "version", "fingerprint", "check", "bytes behind the end"],
)
def test_a_foreign_or_damaged_stream_is_refused(here, stream, capsys, says, damage):
    (here / "damaged.c2f").write_bytes(damage(stream))
    before = contents(here)
    assert says in refusal(capsys, "decode", "damaged.c2f", "-o", "out.png")
    assert says in refusal(capsys, "info", "damaged.c2f")
    assert contents(here) == before


def test_info_for_people_and_for_programs(here, codec, stream, capsys):
    (here / "photo.c2f").write_bytes(stream)
    assert main(["info", "photo.c2f"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["info", "photo.c2f", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(json.dumps(codec.info(stream)))
    assert len(lines) == len(found)


@pytest.mark.parametrize("command", ["name photo.jpg", "name photo.c2f", "decode photo.c2f -o out.png --name"])
def test_names_a_picture_at_three_levels(here, stream, capsys, command):
    (here / "photo.c2f").write_bytes(stream)
    assert main(command.split()) == 0
    verdicts = capsys.readouterr().out.splitlines()[-3:]
    levels = hierlib.hierarchy.load("tiny-clip").levels
    for level, verdict in zip(levels, verdicts, strict=True):
        said, confidence, group = verdict.split(maxsplit=2)
        assert said == level
        assert 0 < int(confidence.removesuffix("%")) <= 100
        assert group


def test_decoding_imports_only_what_it_needs(here, stream):
    (here / "photo.c2f").write_bytes(stream)
    code = "import sys; from hierlib.__main__ import main; print(main(sys.argv[1:])); print(*sys.modules)"
    command = [sys.executable, "-c", code, "decode", "photo.c2f", "-o", "out.png"]
    said, ended, modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert ended == "0", said
    heavy = {
        "compressai",
        "open_clip",
        "timm",
        "torchvision",
        "sklearn",
        "skimage",
        "pandas",
        "umap",
        "plotly",
        "matplotlib",
    }
    assert not heavy & set(modules.split())


def test_evaluates_jpeg2000_and_writes_results(here, no_data, capsys):
    command = (
        "evaluate --codec jpeg2000 --pictures shapes --hierarchy shapes --classifier shapes --limit 2 --budgets 128,512"
    )
    assert main([*command.split(), "-o", "results.json"]) == 0
    json.loads((here / "results.json").read_text())
    said = capsys.readouterr().out
    assert "results.json" in said
    assert {"128 B", "512 B", "right_family", "right_texture"} <= set(re.split(r"\s{2,}|\n| (?=right_)", said))
    assert not list(here.glob("*.partial*"))


def test_pictures_of_any_size(here, codec, capsys):
    for height, width in [(1, 1), (7, 200), (64, 65)]:
        save_picture(torch.rand(3, height, width), "odd.png")
        assert main(["encode", "odd.png", "-o", "odd.c2f"]) == 0
        assert main(["decode", "odd.c2f", "-o", "back.png"]) == 0
        assert load_picture("back.png").shape == (3, height, width)
