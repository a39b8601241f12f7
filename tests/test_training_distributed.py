"""Two processes under torchrun (gloo) against one: the same batches, the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_toys import BRIEF

from hierlib.errors import RecipeError
from hierlib.training.data import training_set
from hierlib.training.distributed import Group
from hierlib.training.trainer import CodecTask, train

SHARED = replace(BRIEF, parts=2, steps=6, gamma=(0.05, 0.05, 0.05), task_from=0.5)
SCRIPT = """
import sys
from test_training_distributed import SHARED
from hierlib.training.trainer import train

train(SHARED, sys.argv[1], device="cpu", checkpoint_every_s=0)
"""


@pytest.mark.timeout(420)
def test_two_processes_give_the_weights_of_one(root: Path, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    command = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(script),
        str(tmp_path / "two"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{root}:{root / 'tests'}"}
    done = subprocess.run(
        [sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr[-3000:]
    two = load_file(tmp_path / "two" / "codec.safetensors")
    one = load_file(train(SHARED, tmp_path / "one", device="cpu"))
    start = load_file(train(replace(SHARED, steps=1, learning_rate=0.0), tmp_path / "start", device="cpu"))
    assert one.keys() == two.keys()
    moved = 0.0
    for key, value in one.items():
        torch.testing.assert_close(two[key].double(), value.double(), atol=1e-5, rtol=0, msg=key)
        moved = max(moved, float((value.double() - start[key].double()).abs().max()) if key in start else 0.0)
    assert moved > 1e-3  # and they did learn
    assert json.loads((tmp_path / "two" / "about.json").read_text())["recipe"]["parts"] == 2


def test_a_part_is_the_same_whoever_computes_it() -> None:
    """The parts of a step, over all processes, are the batch: none is missing, none comes twice."""
    task = CodecTask(SHARED, training_set(SHARED.pictures))
    whole = CodecTask(replace(SHARED, parts=1), training_set(SHARED.pictures))
    shared = [i for rank in range(2) for part in Group(rank, 2).parts(2) for i in task.batches.indices(5, part)]
    assert shared == whole.batches.indices(5).tolist()
    assert not torch.equal(task._draw(5, 0)[0], task._draw(5, 1)[0])
    assert torch.equal(task._draw(5, 1)[0], task._draw(5, 1)[0])


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(RecipeError, match="3 processes cannot share"):
        Group(0, 3).parts(4)
    with pytest.raises(RecipeError, match="in 3 equal parts"):
        replace(BRIEF, parts=3)
