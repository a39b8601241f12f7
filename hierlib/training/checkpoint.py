"""Everything a run needs to go on, in one safetensors file: weights, optimiser moments, step. No pickles."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from ..files import replacing

OptimizerMap = dict[str, torch.optim.Optimizer]


def save(path: Path, module: nn.Module, optimizers: OptimizerMap, step: int, about: dict) -> None:
    """Write a resumable checkpoint, whole or not at all; the one before is kept as ``previous-<name>``."""
    from safetensors.torch import save_file

    tensors = {f"weights.{k}": v.detach().cpu().contiguous() for k, v in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer.{name}.{index}.{key}"] = torch.as_tensor(value).cpu().contiguous()
    if path.exists():
        path.replace(path.with_name(f"previous-{path.name}"))
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={"step": str(step), "about": json.dumps(about)})


def load(path: Path, module: nn.Module, optimizers: OptimizerMap, about: dict) -> int:
    """Restore what ``save`` wrote, falling back to the previous checkpoint if the newest is damaged; returns the step.

    Returns 0 if there is none. Raises CheckpointError if none can be read, or if it was made by another recipe.
    """
    candidates = [p for p in (path, path.with_name(f"previous-{path.name}")) if p.exists()]
    problems = []
    for candidate in candidates:
        try:
            tensors, metadata = _read(candidate)
        except Exception as error:  # safetensors raises its own type for damage, OSError for the disk
            problems.append(f"{candidate}: {error}")
            continue
        if json.loads(metadata["about"]) != about:
            raise CheckpointError(
                f"{candidate} was made by another recipe: go on with that one, name another run folder, or start fresh."
            )
        module.load_state_dict({k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")})
        for name, optimizer in optimizers.items():
            _restore(optimizer, f"optimizer.{name}.", tensors)
        return int(metadata["step"])
    if problems:
        raise CheckpointError(f"No checkpoint can be read ({'; '.join(problems)}): delete them to start fresh.")
    return 0


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118


def _restore(optimizer: torch.optim.Optimizer, prefix: str, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix):
            index, name = key.removeprefix(prefix).split(".", 1)
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
