"""Does a stream mean the same elsewhere? Written with one thread, read with others, with other kernels, in float32.

Pictures: a thousand of Tiny-ImageNet's where HIERLIB_DATA has them (drawn ones if not), and photographs at 256x256.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tqdm import tqdm

import hierlib
from hierlib.errors import DataError
from hierlib.images.packs import open_pack
from hierlib.images.pictures import demonstration
from hierlib.images.shapes import shapes

PICTURES = 1000

WORKER = """
import hashlib, sys
from pathlib import Path
import numpy as np, torch
import hierlib
from hierlib.errors import BitstreamError
folder, threads, onednn, precision, device = sys.argv[1:]
torch.set_num_threads(int(threads))
torch.backends.mkldnn.enabled = onednn == "on"
codec = hierlib.load("tiny", device)
if precision == "float32":
    codec.network.entropy.float()
    exact = codec.z_hat
    codec.z_hat = lambda *arguments: exact(*arguments).float()
for path in sorted(Path(folder).glob("*.c2f")):
    hashed = hashlib.sha256()
    try:
        for block in codec.decoder().feed(path.read_bytes()).blocks:
            for array in (block.index, block.mu, block.q):
                hashed.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    except BitstreamError:
        print("refused")
    else:
        print(hashed.hexdigest())
"""


def read_elsewhere(
    folder: Path, threads: int, onednn: str, precision: str = "float64", device: str = "cpu"
) -> list[str]:
    """One line a stream: the digest of all its integers, or ``refused``."""
    script = [sys.executable, "-c", WORKER, str(folder), str(threads), onednn, precision, device]
    return subprocess.run(script, capture_output=True, text=True, check=True).stdout.split()


def pictures() -> dict[str, list[torch.Tensor]]:
    try:
        pack = open_pack("tiny-imagenet-val")
        small = [pack[i * len(pack) // PICTURES] for i in range(PICTURES)]
    except DataError as error:
        print(error)
        drawn = shapes(PICTURES)
        small = [drawn[i] for i in range(PICTURES)]
    turned = [image.rot90(turns, (1, 2)) for image in demonstration(256).values() for turns in range(4)]
    return {f"{PICTURES} pictures 64x64": small, f"{len(turned)} photographs 256x256": turned}


@pytest.mark.timeout(3600)
def test_a_stream_means_the_same_with_other_threads_kernels_and_batches(tmp_path: Path) -> None:
    codec = hierlib.load("tiny")
    narrow = hierlib.load("tiny")
    narrow.network.entropy.float()
    exact = narrow.z_hat
    narrow.z_hat = lambda *arguments: exact(*arguments).float()  # type: ignore[method-assign]
    for name, images in pictures().items():
        folders = {kind: tmp_path / name / kind for kind in ("float64", "float32")}
        for folder in folders.values():
            folder.mkdir(parents=True)
        for first in tqdm(range(0, len(images), 8), desc=name, leave=False):
            batch = images[first : first + 8]  # the first half of the pictures in batches, the rest one by one
            streams = codec.encode_batch(batch) if first < len(images) // 2 else [codec.encode(x) for x in batch]
            for number, (image, stream) in enumerate(zip(batch, streams), first):
                (folders["float64"] / f"{number:05}.c2f").write_bytes(stream)
                (folders["float32"] / f"{number:05}.c2f").write_bytes(narrow.encode(image))
        for precision, folder in folders.items():
            expected = read_elsewhere(folder, 1, "on", precision)
            for threads, onednn in ((2, "on"), (4, "on"), (1, "off"), (4, "off")):
                found = read_elsewhere(folder, threads, onednn, precision)
                differ = sum(a != b for a, b in zip(expected, found, strict=True))
                print(f"{name}, {precision}: {differ} differ or are refused with {threads} threads, oneDNN {onednn}")
                assert precision == "float32" or (differ == 0 and "refused" not in found)
        if torch.cuda.is_available():
            found = read_elsewhere(folders["float64"], 1, "on", device="cuda")
            print(f"{name}: {sum(a != b for a, b in zip(read_elsewhere(folders['float64'], 1, 'on'), found))} on a GPU")
