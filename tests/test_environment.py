"""pyproject.toml, environment.yml, constraints.txt and the imports of the code say the same."""

import ast
import importlib.metadata
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
EXTRAS = PROJECT["optional-dependencies"]

# Named by no import: started as programs, or imported for us by another package.
PROGRAMS = {"jupyterlab", "voila", "ipykernel", "ruff", "mypy", "nbstripout", "pytest-timeout"}
PAIRED = {"torchvision"}  # imported by compressai and open_clip; named so that its pin goes with torch's
IMPORTED_AS = {
    "open-clip-torch": "open_clip",
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "umap-learn": "umap",
    "pillow": "PIL",
    "pyyaml": "yaml",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(*groups: list[str]) -> dict[str, Requirement]:
    found = (Requirement(line) for group in groups for line in group)
    return {normal(r.name): r for r in found if normal(r.name) != PROJECT["name"]}


BASE, ALL = requirements(PROJECT["dependencies"]), requirements(PROJECT["dependencies"], *EXTRAS.values())


def pins() -> dict[str, Requirement]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    return requirements([line for line in lines if line])


def imported(*folders: str) -> dict[str, str]:
    """Top-level names of other people's packages, and one file that imports each."""
    found: dict[str, str] = {}
    for path in sorted(
        p for folder in folders for p in (ROOT / folder).rglob("*") if ".ipynb_checkpoints" not in p.parts
    ):
        if path.suffix == ".py":
            sources = [path.read_text()]
        elif path.suffix == ".ipynb":
            cells = json.loads(path.read_text())["cells"]
            sources = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
            sources = [
                "\n".join(line for line in s.splitlines() if not line.lstrip().startswith(("%", "!"))) for s in sources
            ]
        else:
            continue
        for node in (node for source in sources for node in ast.walk(ast.parse(source))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                found.setdefault(name.partition(".")[0], str(path.relative_to(ROOT)))
    ours = {
        "hierlib",
        "tests",
        *(p.stem for p in (ROOT / "tests").rglob("*.py")),
        *(p.name for p in (ROOT / "tests").iterdir()),
    }
    return {name: where for name, where in found.items() if name not in sys.stdlib_module_names | ours}


def as_import(name: str) -> str:
    return IMPORTED_AS.get(name, name.replace("-", "_"))


def test_environment_yml_names_the_packages_of_pyproject():
    (pip,) = (entry["pip"] for entry in ENVIRONMENT if isinstance(entry, dict))
    options, names = [line for line in pip if line.startswith("-")], [line for line in pip if not line.startswith("-")]
    assert options == ["-c constraints.txt", "-e ."]
    assert sorted(names) == sorted(set(names))
    assert {normal(name) for name in names} == set(ALL)


def test_environment_yml_brings_a_python_that_pyproject_allows():
    (python,) = (entry for entry in ENVIRONMENT if isinstance(entry, str) and entry.startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.partition("=")[2])


def test_issue_packages_come_with_the_plain_installation():
    named = ["torch", "compressai", "open_clip_torch", "scikit-learn", "nltk", "jupyterlab", "ipywidgets", "plotly"]
    assert {normal(name) for name in [*named, "papermill", "umap-learn"]} <= set(BASE)


def test_every_dependency_has_its_reason_beside_it():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    for requirement in ALL.values():
        (line,) = (line for line in lines if re.match(rf'\s*"{re.escape(requirement.name)}[<>=~!]', line))
        assert re.search(r'",\s+# \w.{6,}', line), line


def test_extra_all_is_every_other_extra():
    (everything,) = (Requirement(line) for line in EXTRAS["all"])
    assert everything.name == PROJECT["name"]
    assert everything.extras == set(EXTRAS) - {"all"}


@pytest.mark.parametrize("name", sorted(ALL))
def test_pin_satisfies_the_dependency(name):
    pin = pins().get(name)
    assert pin is not None, f"{name} has no line in constraints.txt"
    (version,) = pin.specifier
    assert version.operator == "=="
    assert ALL[name].specifier.contains(version.version), f"{pin} does not satisfy {ALL[name]}"


def test_pins_carry_no_build_of_one_machine():
    assert not [str(pin) for pin in pins().values() if "+" in str(pin.specifier)]


def test_installed_versions_are_the_pinned_ones():
    wrong = {}
    for name, pin in pins().items():
        if pin.marker is not None and not pin.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(name).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            continue
        if not pin.specifier.contains(version, prereleases=True):
            wrong[name] = f"{version} instead of {pin.specifier}: run make install"
    assert not wrong


def test_the_package_imports_only_what_the_plain_installation_brings():
    known = {as_import(name) for name in BASE} | {"IPython", "lpips"}  # with ipykernel; where it is asked for
    strangers = {name: where for name, where in imported("hierlib", "notebooks").items() if name not in known}
    assert not strangers, "imported but no dependency in pyproject.toml"


def test_the_tests_import_only_what_is_declared():
    known = {as_import(name) for name in ALL} | {"IPython", "tomli"}
    strangers = {name: where for name, where in imported("tests").items() if name not in known}
    assert not strangers, "imported but no dependency in pyproject.toml"


def test_no_dependency_is_idle():
    used = imported("hierlib", "notebooks", "tests")
    idle = {name for name in set(ALL) - PROGRAMS - PAIRED if as_import(name) not in used}
    assert not idle, "in pyproject.toml, and nothing imports it"


def test_shipped_weights_stay_small():
    sizes_bytes = [path.stat().st_size for path in (ROOT / "data" / "checkpoints").rglob("*.safetensors")]
    assert max(sizes_bytes) <= 8 * 2**20
    assert sum(sizes_bytes) <= 105 * 2**20  # ours and eight learned peers, 1 to 8 MB each, twice, and the classifiers
