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


def test_two_processes_give_what_one_gives(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    tests = Path(__file__).parent
    path = os.pathsep.join([str(tests), str(tests.parent)])
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(tmp_path / "script.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    toys = pictures([i % 4 for i in range(50)])
    alone = evaluate(FourBytes(), toys, hierarchy(), [ByColour()], (2, 3, 4), progress=False)
    for rank in range(2):
        found = Results.load(tmp_path / f"{rank}.parquet")
        pd.testing.assert_frame_equal(found.rows, alone.rows)
        assert found.meta["decodings"] == alone.meta["decodings"]
        assert (tmp_path / f"p.{rank}-of-2.jsonl").exists()
