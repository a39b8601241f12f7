"""Runs as TensorBoard reads them: what was written is read back by TensorBoard itself."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from hierlib.training import board, metrics
from hierlib.training.board import Board


def log(run: Path, steps: range, seconds_from: float = 0.0) -> list[str]:
    run.mkdir(parents=True, exist_ok=True)
    rows = [
        {"step": step, "seconds": seconds_from + 2.0 * n, "loss_1": 1 / step, "bytes_z": step / 4}
        for n, step in enumerate(steps, 1)
    ]
    return [json.dumps(row) + "\n" for row in rows]


def curves(run: Path) -> dict[str, list[tuple[int, float, float]]]:
    """Step, value and wall time of each curve."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / board.FOLDER)).Reload()
    return {name: [(e.step, e.value, e.wall_time) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_tensorboard_reads_every_number_at_its_step_and_time(tmp_path):
    run = tmp_path / "deep" / "run"
    path = run / "metrics.jsonl"
    path.parent.mkdir(parents=True)
    resumed = log(run, range(10, 40, 10)) + log(run, range(40, 60, 10))  # its seconds begin at zero again
    path.write_text("".join(resumed))
    os.utime(path, (5000.0, 5000.0))
    assert board.main([str(tmp_path)]) == 0
    found = curves(run)
    assert set(found) == {"loss/level 1", "bytes_z"}
    assert [step for step, _, _ in found["bytes_z"]] == [10, 20, 30, 40, 50]
    assert [value for _, value, _ in found["bytes_z"]] == [2.5, 5.0, 7.5, 10.0, 12.5]
    assert found["loss/level 1"][1][1] == pytest.approx(1 / 20)
    assert [time for _, _, time in found["bytes_z"]] == [4992.0, 4994.0, 4996.0, 4998.0, 5000.0]
    assert board.main([str(tmp_path)]) == 0  # again: nothing twice
    assert curves(run) == found


def test_a_run_that_goes_on_is_followed_and_one_that_was_resumed_written_anew(tmp_path):
    path, boards = tmp_path / "metrics.jsonl", {}
    first, second = log(tmp_path, range(10, 30, 10)), log(tmp_path, range(30, 50, 10), 4.0)
    path.write_text("".join(first) + second[0][:20])  # a line is half written at this moment
    assert board.write(tmp_path, boards) == {tmp_path: 2}
    path.write_text("".join(first + second))
    assert board.write(tmp_path, boards) == {tmp_path: 4}
    assert [step for step, _, _ in curves(tmp_path)["bytes_z"]] == [10, 20, 30, 40]
    files = list((tmp_path / board.FOLDER).iterdir())
    path.write_text("".join(first) + log(tmp_path, range(25, 35, 5))[0])  # killed, and resumed from the 20th update
    assert board.write(tmp_path, boards) == {tmp_path: 3}
    assert [step for step, _, _ in curves(tmp_path)["bytes_z"]] == [10, 20, 25]
    assert not any(file.exists() for file in files)
    boards[tmp_path].close()


def test_a_log_is_read_without_the_line_that_is_being_written(tmp_path):
    path = tmp_path / metrics.NAME
    assert metrics.logged(path) == []
    lines = log(tmp_path, range(10, 40, 10))
    path.write_text("".join(lines)[:-5])
    assert metrics.logged(path) == [json.loads(line) for line in lines[:2]]


def test_its_mistakes_are_told(tmp_path, monkeypatch, capsys):
    assert board.main([str(tmp_path)]) == 2
    assert "No metrics.jsonl lies under" in capsys.readouterr().err
    (tmp_path / "metrics.jsonl").write_text("")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert board.main([str(tmp_path)]) == 2
    assert "pip install 'hierlib[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / board.FOLDER).exists()


def test_ctrl_c_ends_what_follows(tmp_path, monkeypatch):
    (tmp_path / "metrics.jsonl").write_text("".join(log(tmp_path, range(1, 3))))
    looks = []

    def interrupt(run: Board) -> int:
        looks.append(run)
        if len(looks) == 3:
            raise KeyboardInterrupt
        return 0

    monkeypatch.setattr(Board, "update", interrupt)
    assert board.main([str(tmp_path), "--follow", "--every", "0.01"]) == 0
    assert len(looks) == 3
