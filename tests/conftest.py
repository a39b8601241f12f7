"""What every test stands on: one thread, seeds, no display, and the data folder where there is one."""

from __future__ import annotations

import os
import random
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # also for the processes that tests start
os.environ.setdefault("MPLBACKEND", "Agg")

import numpy as np
import pytest
import torch

import hierlib  # first, so that torchvision imports on a CPU
from hierlib.errors import DataError
from hierlib.files import data_root as named_data_root

torch.set_num_threads(1)  # two cores and many small tensors: threads only wait for each other

ROOT = Path(hierlib.__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  scikit-learn and umap draw from it where they are given no seed
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real pictures; skips the test where HIERLIB_DATA names none."""
    try:
        folder = named_data_root()
    except DataError as error:
        pytest.skip(str(error))
    if folder is None:
        pytest.skip("needs real pictures: set HIERLIB_DATA to the folder of the packs")
    return folder


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a newcomer's machine: HIERLIB_DATA is not set."""
    monkeypatch.delenv("HIERLIB_DATA", raising=False)
