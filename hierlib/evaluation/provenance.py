"""Where results come from: what makes two evaluations the same, and what a reader must know of one."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ..images.pictures import to_uint8
from .rate import ms_ssim_scales

if TYPE_CHECKING:
    from torch import nn

    from .sweep import Sweep

SKIPPED = ("name", "wnids", "training")
PACKAGES = ("torch", "numpy", "pillow", "pytorch-msssim", "pandas")


def identity(sweep: Sweep) -> dict[str, Any]:
    """What makes two evaluations the same: a file of partial results is only gone on with if all of it agrees."""
    codec, hierarchy = sweep.codec, sweep.hierarchy
    tree = hierarchy.groups.tobytes() + "".join(hierarchy.wnids).encode()
    return {
        "codec": {"name": codec.name, "class": type(codec).__name__, **described(codec)},
        "pictures": {
            "name": sweep.pictures.name,
            "n": len(sweep.labels),
            "digest": _pictures_digest(sweep),
        },
        "hierarchy": {
            "name": hierarchy.name,
            "levels": list(hierarchy.levels),
            "K": list(hierarchy.K),
            "digest": hashlib.sha256(tree).hexdigest()[:16],
        },
        "classifiers": {j.name: described(j.classifier) | {"restricted": j.rows is not None} for j in sweep.jury},
        "budgets": sweep.ladder,
        "level_ends": sweep.level_ends,
        "wup": sweep.about_wup,
        "batch": sweep.batch,
        **({"lpips": sweep.lpips.name} if sweep.lpips is not None else {}),
    }


def _pictures_digest(sweep: Sweep) -> str:
    """Of all labels, and of the first and last picture: balanced subsets of one set may have the same labels."""
    ends = (sweep.pictures[0], sweep.pictures[len(sweep.labels) - 1])
    seen = sweep.labels.tobytes() + b"".join(to_uint8(image).tobytes() for image in ends)
    return hashlib.sha256(seen).hexdigest()[:16]


def described(made: Any) -> dict[str, Any]:
    """Settings and weights of a codec or classifier: public plain fields, fingerprints in hex, networks' digests."""
    from torch import nn

    fields = {k: v for k, v in getattr(made, "__dict__", {}).items() if k not in SKIPPED and not k.startswith("_")}
    found: dict[str, Any] = {k: v.hex() for k, v in fields.items() if isinstance(v, bytes)}
    found |= {k: json.loads(json.dumps(v)) for k, v in fields.items() if _plain(v)}
    networks = {"weights": made} if isinstance(made, nn.Module) else {}
    networks |= {f"{k}_weights": v for k, v in fields.items() if isinstance(v, nn.Module)}
    return found | {k: weights_digest(v) for k, v in networks.items()}


def weights_digest(network: nn.Module) -> str:
    """First 16 hexadecimal digits of the SHA-256 of a network's names and values: equal weights, equal digest."""
    import torch

    sha = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        sha.update(name.encode())
        sha.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:16]


def _plain(value: Any) -> bool:
    kinds = (bool, int, float, str, type(None))
    if isinstance(value, dict):
        return bool(value) and all(isinstance(k, str) and _plain(v) for k, v in value.items())
    return isinstance(value, kinds) or (isinstance(value, (list, tuple)) and all(isinstance(v, kinds) for v in value))


def provenance(sweep: Sweep, run: dict[str, Any], chunks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The meta of finished results: ``run`` (see identity), the majority line, time spent, versions, hardware."""
    import torch

    from .. import __version__

    steps = ("encode", "decode", "measure", "classify")
    seconds = {k: sum(chunk["seconds"].get(k, 0.0) for chunk in chunks) for k in steps}
    height, width = sweep.pictures[0].shape[1:]
    return {
        **run,
        "majority": {
            level: sweep.hierarchy.majority(sweep.labels, i) for i, level in enumerate(sweep.hierarchy.levels)
        },
        "undecodable": "answered by the majority guess; PSNR and MS-SSIM of mid-grey",
        "ms_ssim_scales": f"{ms_ssim_scales(height, width)} of 5 at {width}x{height}, the size of the first picture",
        "seconds": seconds,
        "decodings": sum(chunk["decodings"] for chunk in chunks),
        **({"parameters": counts} if (counts := getattr(sweep.codec, "parameter_counts", None)) else {}),
        "versions": {"hierlib": __version__, "python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "hardware": {
            "machine": f"{platform.system()} {platform.machine()}",
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
    }
