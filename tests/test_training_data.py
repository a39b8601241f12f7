"""Where training pictures come from: folders, shards, packs, listings; and that workers change nothing but the time."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hierlib.errors import DataError
from hierlib.images.packs import PictureSet, open_pack
from hierlib.training.augment import flip
from hierlib.training.data import Batches, even_subset, from_disk, in_memory, reader, training_set
from hierlib.training.feed import Feed, workers_for
from hierlib.training.start import codec_recipe
from hierlib.training.trainer import CodecTask, train

WNIDS = ("n01443537", "n01629819", "n02123394")  # goldfish, salamander, Persian cat: ImageNet-1K 1, 25, 283


def picture(value: int, size: tuple[int, int] = (80, 72)) -> bytes:
    noise = np.random.default_rng(value).integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise + np.uint8(value)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def image_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ImageNet as it lies on disks: imagenet/train/<wnid>/<wnid>_<number>.JPEG, here four pictures a class."""
    for row, wnid in enumerate(WNIDS):
        folder = tmp_path / "imagenet" / "train" / wnid
        folder.mkdir(parents=True)
        for number in range(4):
            (folder / f"{wnid}_{number}.png").write_bytes(picture(60 * row + 10 * number))
    monkeypatch.setenv("HIERLIB_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def shards(image_folder: Path) -> Path:
    """The same pictures as two webdataset shards; class numbers in one, WordNet ids in the other."""
    numbers = dict(zip(WNIDS, ("1", "25", "283"), strict=True))
    files = sorted((image_folder / "imagenet" / "train").rglob("*.png"))
    for shard in range(2):
        with tarfile.open(image_folder / f"imagenet-wds-{shard:04d}.tar", "w") as tar:
            for file in files[shard::2]:
                said = numbers[file.parent.name] if shard else file.parent.name
                for name, content in ((f"{file.stem}.png", file.read_bytes()), (f"{file.stem}.cls", said.encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return image_folder


def test_shards_hold_what_the_folder_holds(shards: Path) -> None:
    folder, tars = open_pack("imagenet/train"), open_pack("imagenet-wds")
    assert tars.wnids == folder.wnids == WNIDS
    assert len(tars) == len(folder) == 12
    row = {Path(key).stem: i for i, key in enumerate(folder.keys)}
    for i, key in enumerate(tars.keys):
        assert torch.equal(tars[i], folder[row[key]])
        assert tars.labels[i] == folder.labels[row[key]]


def test_shards_that_cannot_be_used_are_said(shards: Path) -> None:
    whole = (shards / "imagenet-wds-0001.tar").read_bytes()
    (shards / "imagenet-wds-0001.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(DataError, match=r"imagenet-wds-0001\.tar cannot be read as a shard"):
        open_pack("imagenet-wds")
    (shards / "imagenet-wds-0001.tar").write_bytes(whole.replace(b"25", b"xx"))
    with pytest.raises(DataError, match="has the class 'xx': a WordNet id or an ImageNet-1K index"):
        open_pack("imagenet-wds")


def test_a_listing_fixes_the_subset_and_its_order(image_folder: Path) -> None:
    keys = [f"{WNIDS[2]}/{WNIDS[2]}_1.png", f"{WNIDS[0]}/{WNIDS[0]}_3.png"]
    (image_folder / "some.txt").write_text("# two\n" + "\n".join(keys) + "\n")
    chosen = training_set("imagenet/train", listing="some.txt")
    assert chosen.keys == tuple(keys)
    assert chosen.labels.tolist() == [2, 0]
    (image_folder / "wrong.txt").write_text("n01443537/absent.png\n")
    with pytest.raises(DataError, match=r"1 of 1 keys, n01443537/absent\.png"):
        training_set("imagenet/train", listing="wrong.txt")
    with pytest.raises(DataError, match=r"no listing nowhere\.txt"):
        training_set("imagenet/train", listing="nowhere.txt")


def test_so_many_of_each_class_are_the_same_ones_every_time(shards: Path) -> None:
    first, again, tars = (training_set(f"{name}:2") for name in ("imagenet/train", "imagenet/train", "imagenet-wds"))
    assert first.keys == again.keys
    assert np.bincount(first.labels).tolist() == [2, 2, 2]
    assert {Path(k).stem for k in first.keys} == set(tars.keys)  # and the same from folder and shards
    with pytest.raises(DataError, match="has 4 pictures of n01443537, 9 are asked for"):
        even_subset(open_pack("imagenet/train"), 9)


def test_a_broken_picture_is_named(image_folder: Path) -> None:
    broken = image_folder / "imagenet" / "train" / WNIDS[1] / f"{WNIDS[1]}_2.png"
    broken.write_bytes(broken.read_bytes()[:60])
    pictures = open_pack("imagenet/train")
    with pytest.raises(DataError, match=f"Picture {WNIDS[1]}/{WNIDS[1]}_2.png of train cannot be read"):
        pictures[6]


def batches(pictures: PictureSet, parts: int = 2) -> Batches:
    return Batches(from_disk(pictures, 64), pictures.labels, 4, seed=3, augment=flip, parts=parts)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # where there are fewer processors
def test_workers_hand_out_what_one_process_would_draw_and_from_any_step(image_folder: Path) -> None:
    drawn = batches(open_pack("imagenet/train"))
    alone, ahead = (Feed(drawn.batch, 6, [0, 1], workers) for workers in (0, 2))
    for step, part in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (5, 1), (3, 1), (4, 0)]:  # the end jumps, as a resume
        for one, other in zip(alone(step, part), ahead(step, part), strict=True):
            assert torch.equal(one, other)


def test_as_many_workers_as_asked_for_or_as_a_gpu_needs_and_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [workers_for("cuda", 3), workers_for("cpu", 3), workers_for("cpu", None)] == [3, 3, 0]
    for processors, workers in ((3, 3), (64, 8)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, n=processors: set(range(n)), raising=False)
        assert workers_for("cuda:1", None) == workers


def test_small_sets_are_held_in_memory_and_others_read_as_needed(image_folder: Path) -> None:
    pictures = open_pack("imagenet/train")
    random: Callable[[], np.random.Generator] = lambda: np.random.default_rng(0)  # noqa: E731
    assert reader(pictures, 64)(np.array([1, 2]), random()).shape == (2, 3, 64, 64)
    squares = replace(pictures, read=lambda i: torch.full((3, 64, 64), i / 255))
    held = in_memory(squares.pixels())(np.array([3]), random())
    assert torch.equal(held, reader(squares, 64)(np.array([3]), random()))
    with pytest.raises(DataError, match="12 pictures, a batch 20"):
        Batches(reader(pictures, 64), pictures.labels, 20)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # where there are fewer processors
def test_the_recipe_of_the_paper_starts_on_a_small_stand_in(image_folder: Path, tmp_path: Path) -> None:
    """The full network, all levels a step, an ImageFolder, the 1000-class hierarchy; but no download of ResNet-50."""
    paper = replace(
        codec_recipe("paper"), pictures="imagenet/train:3", size=64, batch_size=2, steps=2, classifier="tiny"
    )
    folder = tmp_path / "run"
    task = CodecTask(paper, training_set(paper.pictures))
    log = task.update(0)
    assert {"bytes_1", "bytes_2", "bytes_3", "right_1", "right_3", "nats_2"} <= set(log)
    assert len(task.pictures) == 9
    assert all(key.split("/")[0] in WNIDS for key in task.batch_at(0)["keys"])
    del task
    small = replace(paper, codec=codec_recipe("ci").codec)
    assert train(small, folder, workers=2).exists()
    again = training_set("imagenet/train", listing=str(folder / "pictures.txt"))  # the subset is on record
    assert again.keys == training_set("imagenet/train:3").keys
