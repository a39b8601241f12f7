"""Notebooks argue, the package works: prose, short cells, parameters that recipes can set, a check, no outputs."""

import ast
import json
import re
import statistics
import warnings
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RECIPES = sorted((ROOT / "notebooks" / "recipes").glob("*.yaml"))
MOST_LINES, MEDIAN_LINES, MOST_STATEMENTS = 12, 6, 3
SIMPLE = (ast.Expr, ast.Assign, ast.AugAssign)

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def cells(path, kind):
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == kind and "".join(cell["source"]).strip()]


def code_lines(cell):
    return [line for line in "".join(cell["source"]).splitlines() if line.strip()]


def tagged(path, tag):
    return [cell for cell in cells(path, "code") if tag in cell["metadata"].get("tags", [])]


def parsed(cell):
    lines = "".join(cell["source"]).splitlines()
    return ast.parse("\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in lines))


def declared(path):
    """Parameter names as papermill, which only warns about a name that it does not know, sees them."""
    import papermill

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # papermill's own libraries
        return set(papermill.inspect_notebook(str(path)))


def test_the_notebooks_of_the_main_job_are_there():
    names = [path.name for path in NOTEBOOKS]
    assert [name[:2] for name in names[:7]] == ["00", "01", "02", "03", "04", "05", "06"]
    assert "03_decode.ipynb" in names  # what make lab opens
    assert "ci" in [path.stem for path in RECIPES]


@each_notebook
def test_no_outputs_and_the_plain_kernel(path):
    assert not [cell for cell in cells(path, "code") if cell["outputs"] or cell["execution_count"] is not None]
    assert read(path)["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in read(path)["metadata"]


@each_notebook
def test_begins_with_a_title_and_a_question(path):
    first = read(path)["cells"][0]
    assert first["cell_type"] == "markdown"
    text = "".join(first["source"])
    assert text.startswith("# ")
    assert "?" in text


@each_notebook
def test_has_one_parameters_cell_of_typed_explained_defaults(path):
    (cell,) = tagged(path, "parameters")
    for statement in parsed(cell).body:
        assert isinstance(statement, ast.AnnAssign), ast.unparse(statement)
        assert statement.value is not None, f"{ast.unparse(statement)} has no default"
    assignments = [line for line in code_lines(cell) if re.match(r"\w+\s*:", line)]
    assert assignments
    unexplained = [line for line in assignments if not re.search(r"=.*#\s*\S.{4,}", line)]
    assert not unexplained, "name: type = default  # help"


@each_notebook
def test_has_a_check_cell_that_can_fail(path):
    checks = tagged(path, "check")
    assert checks
    for cell in checks:
        claims = [node for node in ast.walk(parsed(cell)) if isinstance(node, ast.Assert)]
        assert claims, "".join(cell["source"])
        assert not [claim for claim in claims if isinstance(claim.test, ast.Constant)]


@each_notebook
def test_code_cells_are_short(path):
    counts = [len(code_lines(cell)) for cell in cells(path, "code")]
    too_long = ["".join(cell["source"]) for cell in cells(path, "code") if len(code_lines(cell)) > MOST_LINES]
    assert not too_long
    assert statistics.median(counts) <= MEDIAN_LINES


@each_notebook
def test_logic_belongs_into_the_package(path):
    """No definitions, branches or handlers; a loop at most draws or saves one thing after the other."""
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.While, ast.Try, ast.With)
    nodes = [node for cell in cells(path, "code") for node in ast.walk(parsed(cell))]
    assert not [ast.unparse(node) for node in nodes if isinstance(node, logic)]
    loops = [node for node in nodes if isinstance(node, ast.For)]
    assert not [ast.unparse(loop) for loop in loops if not all(isinstance(s, SIMPLE) for s in loop.body)]
    assert not [ast.unparse(loop) for loop in loops if len(loop.body) > MOST_STATEMENTS or loop.orelse]


@each_notebook
def test_prose_and_code_keep_each_other_company(path):
    assert 0.75 <= len(cells(path, "markdown")) / len(cells(path, "code")) <= 1.33


@each_notebook
def test_cells_have_ids_of_their_own(path):
    ids = [cell["id"] for cell in read(path)["cells"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_sets_only_parameters_that_exist(path):
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, parameters in recipe.items():
        (notebook,) = (n for n in NOTEBOOKS if n.stem == name)
        assert set(parameters or {}) <= declared(notebook), f"{path.name}: {name}"
