"""Nothing is lost: processes really killed, disks really full, files really damaged."""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_toys import BRIEF, python

from hierlib.errors import CheckpointError
from hierlib.training import checkpoint, loop
from hierlib.training.data import training_set
from hierlib.training.feed import Feed
from hierlib.training.interrupt import between_updates
from hierlib.training.recipe import Recipe, defaults
from hierlib.training.recipes import RECIPES
from hierlib.training.trainer import CodecTask

# One interpreter for all: it forks a child for each life of the run, and kills it at some moment with SIGKILL. Waiting
# for a number of checkpoints makes sure that every life gets somewhere; the random pause, that it ends anywhere.
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from training_toys import BRIEF
from dataclasses import replace
from hierlib.training.trainer import train
import tqdm.auto

brief = replace(BRIEF, steps=16, batch_size=2)
folder = Path(sys.argv[1])


def live(where):
    child = os.fork()
    if child == 0:
        try:
            train(brief, where, checkpoint_every_s=0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return child


random.seed(5)
kills = 0
for life in range(4):
    child = live(folder / "killed")
    newest = folder / "killed" / "checkpoint.safetensors"
    before = newest.stat().st_mtime_ns if newest.exists() else 0
    ended = 0
    while not ended and (not newest.exists() or newest.stat().st_mtime_ns == before):
        time.sleep(0.002)
        ended = os.waitpid(child, os.WNOHANG)[0]
    time.sleep(random.uniform(0.0, 0.2))
    if ended or os.waitpid(child, os.WNOHANG)[0]:
        break
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kills += 1
assert os.waitpid(live(folder / "killed"), 0)[1] == 0
assert os.waitpid(live(folder / "whole"), 0)[1] == 0
print(kills)
"""


@pytest.mark.timeout(420)  # twenty seconds of work, but every step waits for the disk
def test_killed_at_any_moment_the_run_ends_in_the_same_bits(root: Path, tmp_path: Path) -> None:
    kills = int(python(KILLED, tmp_path, root=root, seconds=400).split()[-1])
    assert kills >= 2
    for file in ("codec.safetensors", "checkpoint.safetensors"):
        killed, whole = (load_file(tmp_path / name / file) for name in ("killed", "whole"))
        assert killed.keys() == whole.keys()
        for key, value in whole.items():
            assert torch.equal(value, killed[key]), key
    lines = (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [16]
    assert not list((tmp_path / "killed").glob(".*"))  # no debris of the files that were being written


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = [".checkpoint-k3j.safetensors", ".codec-7j7lbrgo.safetensors", ".tmpAbC123"]  # safetensors' own is last
    kept = ["checkpoint.safetensors", "previous-checkpoint.safetensors", ".tmp-notes.txt", "metrics.jsonl"]
    for name in left + kept:
        (tmp_path / name).touch()
    checkpoint.clean(tmp_path / "checkpoint.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def trained(steps: int) -> tuple[torch.nn.Linear, dict[str, torch.optim.Optimizer]]:
    torch.manual_seed(steps)
    module = torch.nn.Linear(40, 40)
    adam = torch.optim.Adam(module.parameters())
    module(torch.rand(2, 40)).sum().backward()
    adam.step()
    return module, {"adam": adam}


def test_a_full_disk_is_said_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(path, *trained(1), 1, {})
    before = path.read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # no file of this process can grow beyond
    try:
        with pytest.raises(CheckpointError, match=r"step 2 cannot be written .*make room"):
            checkpoint.save(path, *trained(2), 2, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    module, optimizers = trained(3)
    assert checkpoint.load(path, module, optimizers, {}) == 1
    assert torch.equal(module.weight, trained(1)[0].weight)


@pytest.mark.parametrize("damage", ["cut short", "one bit", "empty"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, damage: str, capsys) -> None:
    path = tmp_path / "checkpoint.safetensors"
    for step in (1, 2):
        checkpoint.save(path, *trained(step), step, {})
    content = bytearray(path.read_bytes())
    if damage == "one bit":
        content[-5] ^= 1  # inside a tensor: the format itself does not notice
    path.write_bytes({"cut short": content[:-100], "one bit": content, "empty": b""}[damage])
    module, optimizers = trained(3)
    assert checkpoint.load(path, module, optimizers, {}) == 1
    assert torch.equal(module.weight, trained(1)[0].weight)
    assert "is damaged" in capsys.readouterr().out
    checkpoint.save(path, *trained(4), 4, {})
    path.write_bytes(b"half")  # the good one was not overwritten by the damaged one
    assert checkpoint.load(path, module, optimizers, {}) == 1
    path.with_name(f"previous-{path.name}").write_bytes(b"")
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="start fresh"):
        checkpoint.load(path, module, optimizers, {})


def test_a_checkpoint_of_another_recipe_is_refused_by_the_field_that_differs(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(path, torch.nn.Linear(2, 2), {}, 1, {"recipe": {"lam": [1], "seed": 0}})
    with pytest.raises(CheckpointError, match=r"another recipe .seed was 0, now 1"):
        checkpoint.load(path, torch.nn.Linear(2, 2), {}, {"recipe": {"lam": [1], "seed": 1}})


def test_a_run_goes_on_in_a_version_whose_recipes_have_more_fields(tmp_path: Path) -> None:
    path, module, now = tmp_path / "checkpoint.safetensors", torch.nn.Linear(2, 2), Recipe.to_json(RECIPES["ci"])
    before = {key: value for key, value in now.items() if key not in ("features", "feature_weight")}
    checkpoint.save(path, module, {}, 7, {"name": "ci", "recipe": before})
    assert checkpoint.load(path, module, {}, {"name": "ci", "recipe": now}, defaults(Recipe)) == 7
    changed = {**now, "features": "shapes", "feature_weight": [1.0, 1.0, 1.0]}
    with pytest.raises(CheckpointError, match=r"another recipe .features was , now shapes"):
        checkpoint.load(path, module, {}, {"name": "ci", "recipe": changed}, defaults(Recipe))
    checkpoint.save(path, module, {}, 8, {"seed": 0})  # a classifier's: flat
    assert checkpoint.load(path, module, {}, {"seed": 0, "crops": [1]}, {"crops": [1], "steps": 9}) == 8


def test_a_log_line_cut_short_by_a_kill_is_dropped(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 50}\n{"step": 100}\n{"step": 150, "lo')
    loop._trim(log, 50)
    assert log.read_text() == '{"step": 50}\n'


class Signalled(CodecTask):
    """Gets signals in the middle of update 3, as from a terminal or a scheduler."""

    signals: tuple[int, ...] = ()

    def update(self, step: int) -> dict[str, float]:
        for number in self.signals if step == 3 else ():
            os.kill(os.getpid(), number)
        return super().update(step)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_a_run_ends_the_update_and_saves_it(number: int, tmp_path: Path, capsys) -> None:
    pictures, before = training_set(BRIEF.pictures, BRIEF.seed), signal.getsignal(number)
    about = {"recipe": BRIEF.to_json(), "seed": 0}
    whole, stopped, resumed = CodecTask(BRIEF, pictures), Signalled(BRIEF, pictures), CodecTask(BRIEF, pictures)
    loop.run(whole, tmp_path / "whole", 6, about)
    stopped.signals = (number,)
    with pytest.raises(KeyboardInterrupt):
        loop.run(stopped, tmp_path / "stopped", 6, about, checkpoint_every_s=1e9)
    assert "after update 4," in capsys.readouterr().out
    assert signal.getsignal(number) == before
    loop.run(resumed, tmp_path / "stopped", 6, about)
    for key, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[key]), key


def test_a_worker_that_is_interrupted_too_goes_on_making_batches() -> None:
    feed = Feed(lambda step, part: (torch.tensor([os.getpid()]), torch.tensor([step])), steps=40, parts=[0], workers=1)
    worker = int(feed(0, 0)[0])
    assert worker != os.getpid()
    os.kill(worker, signal.SIGINT)
    assert [tuple(map(int, feed(step, 0))) for step in range(1, 40)] == [(worker, step) for step in range(1, 40)]


def test_asked_twice_a_run_stops_at_once(tmp_path: Path) -> None:
    task = Signalled(BRIEF, training_set(BRIEF.pictures, BRIEF.seed))
    task.signals = (signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.run(task, tmp_path, 6, {}, checkpoint_every_s=1e9)
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_one_of_several_processes_is_stopped_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with between_updates(alone=False) as asked_to_stop:
        assert signal.getsignal(signal.SIGTERM) == before
        assert not asked_to_stop()
