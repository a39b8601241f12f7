"""Everything a run needs to go on, in one safetensors file: weights, optimiser moments, step. No pickles.

A whole one is on the disk at any moment: a new one is written beside it, flushed, and renamed into its place; the one
before stays as ``previous-<name>``. A check over all tensors tells damage that the format itself does not see.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..files import LEFT_BEHIND, replacing

OptimizerMap = dict[str, torch.optim.Optimizer]


def save(path: Path, module: nn.Module, optimizers: OptimizerMap, step: int, about: dict) -> None:
    """Write a resumable checkpoint, whole or not at all; the one before is kept as ``previous-<name>``.

    Raises CheckpointError if it cannot be written (a full disk); what was there before is then untouched.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {f"weights.{k}": v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer.{name}.{index}.{key}"] = torch.as_tensor(value).cpu().contiguous()
    metadata = {"step": str(step), "about": json.dumps(about), "check": str(_check(tensors))}
    try:
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata=metadata)
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            if path.exists():
                path.replace(_previous(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The checkpoint of step {step} cannot be written to {path} ({error}): make room and run the same command "
            "again; it goes on from the last one that was written."
        ) from None


def load(
    path: Path,
    module: nn.Module,
    optimizers: OptimizerMap,
    about: dict,
    absent: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Restore what ``save`` wrote, falling back to the previous checkpoint if the newest is damaged; returns the step.

    absent: what a field of the recipe counts as where the checkpoint is of a version that did not have it yet.
    Returns 0 if there is none. Raises CheckpointError if none can be read, or if it was made by another recipe.
    """
    candidates = [p for p in (path, _previous(path)) if p.exists()]
    problems = []
    for candidate in candidates:
        try:
            tensors, metadata = _read(candidate)
        except Exception as error:  # safetensors raises its own type for damage, OSError for the disk
            problems.append((candidate, error))
            continue
        _refuse_another(candidate, json.loads(metadata["about"]), about, absent)
        module.load_state_dict({k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")})
        for name, optimizer in optimizers.items():
            _restore(optimizer, f"optimizer.{name}.", tensors)
        for damaged, damage in problems:  # out of the way, or the next save would keep it in place of this one
            damaged.replace(damaged.with_name(f"damaged-{damaged.name}"))
            print(f"{damaged} is damaged ({damage}): going on from the one before, of step {metadata['step']}.")
        return int(metadata["step"])
    if problems:
        found = "; ".join(f"{path}: {error}" for path, error in problems)
        raise CheckpointError(f"No checkpoint can be read ({found}): delete them to start fresh.")
    return 0


def clean(path: Path) -> None:
    """Remove what a process that was killed while writing ``path``, or another file of its folder (the weights at the
    end), left there: ours, and safetensors' own.
    """
    for pattern in (f".{path.stem}-*{path.suffix}", LEFT_BEHIND, ".tmp??????"):
        for debris in path.parent.glob(pattern):
            debris.unlink(missing_ok=True)


def _previous(path: Path) -> Path:
    return path.with_name(f"previous-{path.name}")


def _check(tensors: dict[str, Tensor]) -> int:
    """CRC-32 of all tensors, in the order of their names."""
    check = 0
    for key in sorted(tensors):
        check = zlib.crc32(tensors[key].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(), check)
    return check


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    if "check" in metadata and int(metadata["check"]) != _check(tensors):
        raise ValueError("its check does not fit: bytes have changed since it was written")
    return tensors, metadata


def _refuse_another(path: Path, found: dict, about: dict, absent: Mapping[str, Any]) -> None:
    """CheckpointError that names the first field in which the two recipes differ."""
    mine, theirs = (each.get("recipe", each) for each in (about, found))
    theirs = {**{k: v for k, v in absent.items() if k in mine}, **theirs}
    found = {**found, "recipe": theirs} if "recipe" in found else theirs
    if found == about:
        return
    differ = [k for k in {**theirs, **mine} if mine.get(k) != theirs.get(k)] or [
        k for k in {**found, **about} if found.get(k) != about.get(k)
    ]
    field = differ[0] if differ else "name"
    was, now = (each.get(field, every.get(field)) for each, every in ((theirs, found), (mine, about)))
    raise CheckpointError(
        f"{path} was made by another recipe ({field} was {was}, now {now}): go on with that one, name another run "
        "folder, or start fresh."
    )


def _restore(optimizer: torch.optim.Optimizer, prefix: str, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix):
            index, name = key.removeprefix(prefix).split(".", 1)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
