"""Weights files: one safetensors file holds networks, integer tables and what they are. No pickles."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import CheckpointError, DataError
from ..files import read_weights, replacing, shipped
from .config import CodecConfig
from .container import FINGERPRINT_BYTES
from .likelihood import Likelihoods
from .model import HierCodec
from .network import HierNetwork
from .tables import packed, unpacked

KIND = "hierlib-codec"
HUB_FILE = "model.safetensors"  # what the hub calls weights


def load(name: str | Path, device: str = "cpu", methods: Iterable[type[HierCodec]] = (HierCodec,)) -> HierCodec:
    """A codec by the name of shipped weights (``tiny``), by the path of a .safetensors file, by a folder that
    ``save_pretrained`` wrote, or by ``owner/name`` of a repository on the Hugging Face hub.

    methods: what the weights may be of; ``hierlib.load`` knows the peers too. Raises CheckpointError if there is no
    such file, it cannot be fetched, or it holds no codec of these.
    """
    path = locate(name)
    tensors, about = read(path)
    given = Path(name) == path  # a path: what the file calls itself; else the name that was asked for
    known_methods = {each.method: each for each in methods}
    if (method := about.get("method", HierCodec.method)) not in known_methods:
        raise CheckpointError(
            f"{path} holds weights for the method {method}; here only {', '.join(known_methods)} can be used: load "
            "them with hierlib.load, or with a newer hierlib."
        )
    name = about.get("name", path.stem) if given else str(name)
    codec = assemble(tensors, about, name, known_methods[method])
    codec.network.to(device)
    return codec


def locate(name: str | Path) -> Path:
    """The weights file that ``name`` means, see ``load``. Raises CheckpointError, with the shipped names, if none."""
    if Path(name).suffix == ".safetensors":
        return Path(name)
    if Path(name).is_dir():
        return Path(name) / HUB_FILE
    try:
        return shipped("checkpoints", f"{name}.safetensors")
    except DataError:
        if str(name).count("/") == 1:
            return _fetched(str(name))
        raise CheckpointError(
            f"There is no codec {name}: shipped are {', '.join(known()) or 'none'}; or give a .safetensors file, a "
            "folder that save_pretrained wrote, or owner/name of a repository on the Hugging Face hub."
        ) from None


def _fetched(repository: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, HUB_FILE))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{repository} is no folder here, and {HUB_FILE} could not be fetched from the Hugging Face hub "
            f"({type(error).__name__}): check the name and the network, or give the path of a .safetensors file."
        ) from None


def known() -> list[str]:
    """Names of the shipped codecs."""
    try:
        return sorted(p.stem for p in shipped("checkpoints").glob("*.safetensors") if _is_codec(p.stem))
    except DataError:
        return []


def _is_codec(stem: str) -> bool:
    return "classifier" not in stem and not stem.startswith("zoo")  # other weights that ship


def known_as(wanted: bytes) -> str | None:
    """The name of the shipped codec whose fingerprint is ``wanted``; None if none has it."""
    return next((name for name in known() if fingerprint(*read(locate(name))) == wanted), None)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description of a codec's weights file. Raises CheckpointError for a missing or damaged one."""
    return read_weights(path, KIND)


def assemble(
    tensors: dict[str, Tensor], about: dict[str, Any], name: str, make: type[HierCodec] = HierCodec
) -> HierCodec:
    """A codec from the tensors of a weights file."""
    network = make.networks(CodecConfig.from_json(about["config"]))
    try:
        network.load_state_dict({k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")})
        y_tables, z_tables = (
            unpacked({part: tensors[f"tables.{which}.{part}"].numpy() for part in ("frequencies", "lengths", "lows")})
            for which in ("y", "z")
        )
    except (RuntimeError, KeyError, ValueError) as error:
        raise CheckpointError(f"The weights do not fit the codec they describe ({error}).") from None
    mark = fingerprint(tensors, {**about, "method": make.method})
    codec = make(network, y_tables, z_tables, tensors["tables.medians"], mark, name)
    codec.take(tensors)
    return codec


def fingerprint(tensors: dict[str, Tensor], about: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """Three bytes of a hash over all that a decoder uses: entropy path, g_s, tables, and a peer's method and its own
    networks. The encoder side may differ.
    """
    used = ("network.entropy.", "network.g_s.", "network.linear.inverse", "tables.", "context.")
    hashed = hashlib.sha256()
    for key in sorted(k for k in tensors if k.startswith(used)):
        hashed.update(key.encode() + np.ascontiguousarray(tensors[key].cpu().numpy()).tobytes())
    if (method := about.get("method", HierCodec.method)) != HierCodec.method:
        hashed.update(f"method {method}".encode())
    return hashed.digest()[:FINGERPRINT_BYTES]


def export(network: HierNetwork, likelihoods: Likelihoods, half: bool = False) -> dict[str, Tensor]:
    """The tensors of a weights file: networks in float32, CompressAI's prior (to train on), and integer tables.

    half: networks in float16, if that changes no number: so weights that were read in float16 keep their fingerprint,
    as long as nobody trained them on.
    """
    likelihoods = copy.deepcopy(likelihoods).cpu()  # where tables are made, whatever trained
    tensors = {f"network.{k}": v.detach().float().cpu().contiguous() for k, v in network.state_dict().items()}
    if half and all(torch.equal(v.half().float(), v) for v in tensors.values()):
        tensors = {k: v.half() for k, v in tensors.items()}
    tensors |= {f"likelihood.{k}": v.detach().contiguous() for k, v in likelihoods.state_dict().items() if v.numel()}
    rows, lows, medians = likelihoods.prior_rows()
    for which, stored in (("y", packed(*likelihoods.symbol_rows())), ("z", packed(rows, lows))):
        tensors |= {f"tables.{which}.{part}": torch.from_numpy(array) for part, array in stored.items()}
    return tensors | {"tables.medians": medians}


def save(path: Path, network: HierNetwork, likelihoods: Likelihoods, about: dict[str, Any], half: bool = False) -> None:
    """Write a weights file, whole or not at all. ``about`` is kept beside the config: recipe, steps, data, seed. half:
    as in ``export``.
    """
    from safetensors.torch import save_file

    description = {**about, "config": network.config.to_json()}
    with replacing(path) as temporary:
        tensors = export(network, likelihoods, half)
        save_file(tensors, temporary, metadata={"kind": KIND, "about": json.dumps(description)})
