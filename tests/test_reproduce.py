import json
import sys
from pathlib import Path

import nbformat
import pytest

from hierlib.errors import RecipeError
from hierlib.views.reproduce import NOTEBOOKS, NotebookError, read_recipe, reproduce

# papermill and the kernel's client: their sockets and event loops are closed by the collector, not by them
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

PARAMETERS = 'run_folder: str = "runs/manual"  # where\nn: int = 2  # how many'
WORK = """
import json, os, sys
from pathlib import Path
import hierlib
found = {"n": n, "python": sys.executable, "hierlib": hierlib.__file__, "cwd": os.getcwd()}
Path(run_folder, "00_first.results.json").write_text(json.dumps({"found": found, "checks": {"n is even": n % 2 == 0}}))
print("worked on", n)
from tqdm.auto import tqdm
list(tqdm(range(3), desc="a bar"))
"""


@pytest.fixture
def workbook(tmp_path):
    """A folder of two notebooks and a recipe, as the project's own is laid out."""
    folder = tmp_path / "notebooks"
    (folder / "recipes").mkdir(parents=True)
    write_notebook(folder / "00_first.ipynb", WORK)
    write_notebook(folder / "01_second.ipynb", "assert n < 3, 'n is too large'\n")
    (folder / "recipes" / "ci.yaml").write_text("01_second:\n00_first: {n: 4}\n")
    return folder


def write_notebook(path: Path, code: str) -> None:
    v4 = nbformat.v4
    cells = [
        v4.new_markdown_cell("# 00 · What is it?\n\nA *question*."),
        v4.new_code_cell(PARAMETERS),
        v4.new_code_cell(code),
    ]
    cells[1].metadata.tags = ["parameters"]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(v4.new_notebook(cells=cells, metadata=spec), path)


def test_runs_in_order_with_parameters_in_this_python_and_writes_only_the_run_folder(workbook, tmp_path, capfd):
    run = tmp_path / "run"
    report = reproduce("ci", run, notebooks=workbook)
    found = json.loads((run / "00_first.results.json").read_text())["found"]
    assert found["n"] == 4
    assert found["python"] == sys.executable
    assert found["hierlib"] == sys.modules["hierlib"].__file__
    assert found["cwd"] == str(run)
    times = json.loads((run / "run.json").read_text())["notebooks"]
    assert [row["notebook"] for row in times] == ["00_first", "01_second"]
    assert {path.name for path in run.iterdir()} == {
        *("00_first.ipynb", "01_second.ipynb", "00_first.results.json", "run.json", "report.html")
    }
    assert {path.name for path in tmp_path.iterdir()} == {"notebooks", "run"}
    page = report.read_text()
    assert "What is it?" in page
    assert "A <em>question</em>." in page
    assert "n is even" in page
    out, err = capfd.readouterr()
    assert "[1/2] 00_first" in out
    assert "worked on 4" in out
    assert "a bar: 100%" in err


def test_only_runs_what_is_asked_for(workbook, tmp_path):
    reproduce("ci", tmp_path / "run", only=["00"], notebooks=workbook)
    assert not (tmp_path / "run" / "01_second.ipynb").exists()
    with pytest.raises(RecipeError, match=r"no notebook 07.*00_first"):
        reproduce("ci", tmp_path / "run", only=["07"], notebooks=workbook)


def test_a_failing_cell_is_named_and_its_traceback_kept(workbook, tmp_path):
    (workbook / "recipes" / "ci.yaml").write_text("01_second: {n: 5}\n")
    with pytest.raises(
        NotebookError, match=r"01_second stopped in cell \[3\] `assert n < 3.*AssertionError: n is too large"
    ):
        reproduce("ci", tmp_path / "run", notebooks=workbook)
    assert "Traceback" in (tmp_path / "run" / "01_second.ipynb").read_text()
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_cell_that_takes_too_long_is_named(workbook, tmp_path):
    write_notebook(workbook / "01_second.ipynb", "import time\ntime.sleep(60)")
    with pytest.raises(NotebookError, match=r"01_second stopped in the cell `import time`.* longer than 2 s"):
        reproduce("ci", tmp_path / "run", only=["01"], notebooks=workbook, cell_timeout_s=2)


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ("00_first: {m: 4}\n", "00_first the parameter m, .* it has run_folder, n"),
        ("07_none: {n: 4}\n", "07_none, .* there is 00_first, 01_second"),
        ("- 00_first\n", "must map"),
        ("00_first: {n: 4\n", "no YAML"),
    ],
)
def test_a_recipe_that_does_not_fit_stops_before_anything_runs(workbook, tmp_path, recipe, says):
    (workbook / "recipes" / "ci.yaml").write_text(recipe)
    with pytest.raises(RecipeError, match=says):
        reproduce("ci", tmp_path / "run", notebooks=workbook)
    assert not (tmp_path / "run").exists()


def test_an_unknown_recipe_names_the_known_ones(workbook):
    with pytest.raises(RecipeError, match=r"no recipe paris in .*; there is ci"):
        read_recipe("paris", workbook)


@pytest.mark.parametrize("recipe", sorted(path.stem for path in NOTEBOOKS.glob("recipes/*.yaml")))
def test_every_recipe_of_the_project_fits_its_notebooks(recipe):
    assert list(read_recipe(recipe)) == sorted(read_recipe(recipe))
