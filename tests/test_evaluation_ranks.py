"""Several processes under torchrun give what one does."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from evaluation_toys import ByColour, FourBytes, hierarchy, pictures

from hierlib.evaluation import Results, evaluate
from hierlib.evaluation.ranks import Ranks, ranks

SCRIPT = """
import sys
from evaluation_toys import ByColour, FourBytes, hierarchy, pictures
from hierlib.evaluation import evaluate
from hierlib.evaluation.ranks import ranks
toys, partial = pictures([i % 4 for i in range(50)]), sys.argv[1] + "/p.jsonl"
results = evaluate(FourBytes(), toys, hierarchy(), [ByColour()], (2, 3, 4), progress=False, resume=partial)
results.save(f"{sys.argv[1]}/{ranks().rank}.parquet")
"""
MEASURED = """
import sys
from pathlib import Path
from evaluation_toys import ByColour, FourBytes, hierarchy, pictures
from hierlib import baselines, classifiers
from hierlib import hierarchy as trees
from hierlib.evaluation.measure import Measurement, measure
from hierlib.images import packs
baselines.load = lambda name: FourBytes()
packs.open_pack = lambda name: pictures([i % 4 for i in range(50)])
trees.load = lambda name: hierarchy()
classifiers.load = lambda name: ByColour()
measure(Measurement("jpeg", "toys", "toy", ("by colour",), (2, 3, 4), level_ends=True), Path(sys.argv[1]) / "out")
"""


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [1, 16, 50, 97])
def test_shares_cover_every_picture_once_and_end_with_chunks(world, n):
    shares = [Ranks(rank, world).share(n, 16) for rank in range(world)]
    assert [i for start, end in shares for i in range(start, end)] == list(range(n))
    assert all(end % 16 == 0 or end == n for _, end in shares)


def test_alone_without_torchrun(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert ranks() == Ranks(0, 1)
    assert ranks().own(Path("p.jsonl")) == Path("p.jsonl")
    assert Ranks(1, 2).own(Path("a/p.jsonl")) == Path("a/p.1-of-2.jsonl")
    assert Ranks(1, 2).own(None) is None


def in_two_processes(script: str, folder: Path) -> None:
    (folder / "script.py").write_text(script)
    tests = Path(__file__).parent
    path = os.pathsep.join([str(tests), str(tests.parent)])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(folder / "script.py"), str(folder)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_give_what_one_gives(tmp_path):
    in_two_processes(SCRIPT, tmp_path)
    toys = pictures([i % 4 for i in range(50)])
    alone = evaluate(FourBytes(), toys, hierarchy(), [ByColour()], (2, 3, 4), progress=False)
    for rank in range(2):
        found = Results.load(tmp_path / f"{rank}.parquet")
        pd.testing.assert_frame_equal(found.rows, alone.rows)
        assert found.meta["decodings"] == alone.meta["decodings"]
        assert (tmp_path / f"p.{rank}-of-2.jsonl").exists()


def test_two_processes_write_one_file_of_results_and_leave_nothing_else(tmp_path):
    in_two_processes(MEASURED, tmp_path)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["jpeg-toys.parquet"]
    toys = pictures([i % 4 for i in range(50)])
    alone = evaluate(FourBytes(), toys, hierarchy(), [ByColour()], (2, 3, 4), progress=False)
    pd.testing.assert_frame_equal(Results.load(tmp_path / "out" / "jpeg-toys.parquet").rows, alone.rows)
