"""Run the notebooks with a recipe's parameters, one fresh kernel each, and put everything into one folder.

A recipe, ``notebooks/recipes/<name>.yaml``, maps notebook names to parameters. papermill only warns of a parameter that
no notebook knows and then runs with the default, so recipes are checked before anything starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import HierlibError, RecipeError
from ..files import PACKAGE, write_json
from .relay import TEXT_BARS, Relay
from .results import surroundings

NOTEBOOKS = PACKAGE.parent / "notebooks"
CELL_TIMEOUT_S = 1800


class NotebookError(HierlibError):
    """A notebook that did not run to its end; the message names the cell."""


def reproduce(
    recipe: str = "ci",
    run_folder: str | Path | None = None,
    *,
    only: Sequence[str] | None = None,
    notebooks: str | Path = NOTEBOOKS,
    cell_timeout_s: int = CELL_TIMEOUT_S,
) -> Path:
    """Run ``notebooks`` with ``recipe`` into ``run_folder`` (``runs/<recipe>`` by default); returns the report's path.

    only: run just these, by number ("03") or name. What is written, and nothing outside the folder: executed
    notebooks, ``<notebook>.results.json``, ``figures/``, ``ladders/``, ``run.json`` (parameters, times, versions) and
    ``report.html``. Raises RecipeError for a recipe that does not exist or fit (before anything runs), NotebookError
    for a notebook that fails; its executed copy then holds the traceback.
    """
    notebooks = Path(notebooks)
    folder = Path(run_folder or Path("runs") / recipe).resolve()
    plan = read_recipe(recipe, notebooks)
    chosen = _choose(plan, only)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{len(chosen)} notebooks, recipe {recipe}, into {folder}", flush=True)
    times: list[dict[str, Any]] = []
    run = {"recipe": recipe, "parameters": {name: plan[name] for name in chosen}, "notebooks": times}
    with surrounded():
        for number, name in enumerate(chosen, 1):
            print(f"[{number}/{len(chosen)}] {name} ...", flush=True)
            start = time.monotonic()
            try:
                execute(notebooks / f"{name}.ipynb", folder, plan[name], cell_timeout_s)
            finally:
                times.append({"notebook": name, "time_s": round(time.monotonic() - start, 1)})
                write_json(folder / "run.json", {**run, "made_with": surroundings()})
            print(f"[{number}/{len(chosen)}] {name} done in {times[-1]['time_s']:.0f} s", flush=True)
    from .report import write_report

    report = write_report(folder)
    width = max(len(row["notebook"]) for row in times)
    print("\n".join(f"  {row['notebook']:{width}}  {row['time_s']:7.1f} s" for row in times))
    print(f"  {'together':{width}}  {sum(row['time_s'] for row in times):7.1f} s\n{report}", flush=True)
    return report


def read_recipe(recipe: str, notebooks: Path = NOTEBOOKS) -> dict[str, dict[str, Any]]:
    """Notebook name -> parameters, in running order.

    Raises RecipeError for an unknown recipe, notebook or parameter, naming it and the known ones.
    """
    import yaml

    path = notebooks / "recipes" / f"{recipe}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise RecipeError(
            f"There is no recipe {recipe} in {path.parent}; there is {known or 'none: run from a checkout'}."
        )
    try:
        plan = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise RecipeError(
            f"{path} is no YAML: {error}. Write one notebook a line, its parameters indented below."
        ) from None
    if not isinstance(plan, dict) or not plan or not all(isinstance(v, dict | None) for v in plan.values()):
        raise RecipeError(f"{path} must map notebook names to parameters, `03_decode: {{rungs: 16}}`; mend that.")
    return {str(name): _check(path, str(name), dict(plan[name] or {}), notebooks) for name in sorted(plan)}


def _check(recipe: Path, name: str, parameters: dict[str, Any], notebooks: Path) -> dict[str, Any]:
    import papermill

    notebook = notebooks / f"{name}.ipynb"
    if not notebook.is_file():
        known = ", ".join(sorted(path.stem for path in notebooks.glob("*.ipynb")))
        raise RecipeError(f"{recipe.name} names the notebook {name}, which is not there; there is {known}.")
    known = papermill.inspect_notebook(str(notebook))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise RecipeError(
            f"{recipe.name} gives {name} the parameter {', '.join(unknown)}, which it does not have; "
            f"it has {', '.join(known)}: mend the recipe or the notebook's parameters cell."
        )
    return parameters


def _choose(plan: dict[str, Any], only: Sequence[str] | None) -> list[str]:
    """The notebooks to run: all, or those named by number or name."""
    if not only:
        return list(plan)
    for wanted in only:
        if not any(name == wanted or name.startswith(f"{wanted}_") for name in plan):
            raise RecipeError(f"The recipe has no notebook {wanted}; it has {', '.join(plan)}.")
    return [name for name in plan if any(name == w or name.startswith(f"{w}_") for w in only)]


def execute(notebook: Path, folder: Path, parameters: dict[str, Any], cell_timeout_s: int = CELL_TIMEOUT_S) -> None:
    """Run one notebook in a kernel of its own, the executed copy into ``folder``. Raises NotebookError if it fails."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    output = folder / notebook.name
    try:
        papermill.execute_notebook(
            str(notebook),
            str(output),
            parameters={**parameters, "run_folder": str(folder)},
            kernel_name="python3",
            cwd=str(folder),
            progress_bar=False,
            execution_timeout=cell_timeout_s,
            stdout_file=Relay(sys.stdout),
            stderr_file=Relay(sys.stderr),
        )
    except papermill.PapermillExecutionError as error:
        first = error.source.strip().partition("\n")[0]
        raise NotebookError(
            f"{notebook.stem} stopped in cell [{error.exec_count}] `{first}` with {error.ename}: {error.evalue}. "
            f"The whole traceback is in {output}."
        ) from None
    except CellTimeoutError:
        raise NotebookError(
            f"{notebook.stem} stopped in {_running(output)}: it ran longer than {cell_timeout_s} s. "
            "Give it less to do by a parameter."
        ) from None
    except DeadKernelError:
        raise NotebookError(
            f"{notebook.stem} stopped in {_running(output)}: its kernel died, most often for want of memory. "
            "Ask for less by a parameter."
        ) from None


def _running(output: Path) -> str:
    """The last cell that an executed copy says was started."""
    cells = json.loads(output.read_text())["cells"]
    started = [cell for cell in cells if cell["metadata"].get("papermill", {}).get("start_time")]
    first = "".join(started[-1]["source"]).strip().partition("\n")[0] if started else "(none was started)"
    return f"the cell `{first}`"


@contextlib.contextmanager
def surrounded() -> Iterator[None]:
    """Kernels of this interpreter that find this package, and keep their own files out of the home folder."""
    with tempfile.TemporaryDirectory(prefix="hierlib-kernels-") as scratch:
        spec = Path(scratch) / "kernels" / "python3" / "kernel.json"
        spec.parent.mkdir(parents=True)
        quiet = "--IPKernelApp.log_level=CRITICAL"  # it warns of TCP, here loopback, and of its own shutdown
        bars = f"--IPKernelApp.exec_lines={TEXT_BARS}"
        launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", quiet, bars]
        spec.write_text(json.dumps({"argv": launch, "display_name": "Python 3", "language": "python"}))
        paths = {"PYTHONPATH": str(PACKAGE.parent), "JUPYTER_PATH": scratch}
        joined = {key: os.pathsep.join(filter(None, (value, os.environ.get(key)))) for key, value in paths.items()}
        wanted = joined | {"IPYTHONDIR": f"{scratch}/ipython", "JUPYTER_RUNTIME_DIR": f"{scratch}/runtime"}
        before = {key: os.environ.get(key) for key in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for key, value in before.items():
                os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)
