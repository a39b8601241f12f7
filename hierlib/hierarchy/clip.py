"""Text embeddings of class names by any CLIP model that open_clip knows (paper Sec. 3: ViT-B/16, "a photo of a {}").

Computed once per model, weights, templates and class list, then read from a cache; or from a .npy file of your own.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from ..errors import DataError, HierarchyError
from ..files import digest, write_bytes

PAPER_TEMPLATE = "a photo of a {}"
ELSEWHERE = ("hf-hub:", "local-dir:")  # open_clip's names for models that are not in its own list


def embed(
    class_names: Sequence[str],
    model: str = "ViT-B-16",
    pretrained: str = "openai",
    template: str | Sequence[str] = PAPER_TEMPLATE,
    *,
    cache: str | Path | None = None,
    device: str = "cpu",
    batch: int = 64,
) -> np.ndarray:
    """(N, D) float32 text embeddings, one row per class name.

    model: one that open_clip knows, or ``hf-hub:org/name`` or ``local-dir:folder``, which bring their weights.
    pretrained: a tag that open_clip knows for this model, or the path of a checkpoint on this machine.
    template: one, giving CLIP's raw vectors as in the paper; or several, giving the mean of their unit vectors.
    cache: folder of finished embeddings; by default ``$HIERLIB_CACHE/clip`` or ``~/.cache/hierlib/clip``.
    Raises HierarchyError for a model or tag that open_clip does not know, or a template without ``{}``, and DataError
    where the weights cannot be had.
    """
    templates = [template] if isinstance(template, str) else list(template)
    if not templates or any("{}" not in t for t in templates):
        raise HierarchyError(
            f"templates {templates}: each needs {{}} where the class name goes, as in {PAPER_TEMPLATE!r}."
        )
    if not class_names:
        raise HierarchyError("no class names to embed: give one at least.")
    folder = Path(cache) if cache is not None else _cache_folder()
    stored = folder / f"{cache_key(class_names, model, pretrained, templates)}.npy"
    if stored.is_file():
        with contextlib.suppress(DataError, HierarchyError):  # a damaged one is made again
            return load_embeddings(stored, len(class_names))
    embeddings = _encode(class_names, _open(model, pretrained, device), model, templates, batch, device)
    buffer = io.BytesIO()
    np.save(buffer, embeddings)
    write_bytes(stored, buffer.getvalue())
    return embeddings


def template_set(name: str) -> tuple[str, ...]:
    """Templates by name: ``paper`` (one), ``openai7``, ``openai80`` (CLIP's own sets), or one that holds ``{}``.

    Raises HierarchyError for anything else.
    """
    if "{}" in name:
        return (name,)
    if name == "paper":
        return (PAPER_TEMPLATE,)
    if name not in ("openai7", "openai80"):
        raise HierarchyError(
            f"no set of templates is called {name!r}: choose paper, openai7 or openai80, or give one with {{}} where "
            f"the class name goes, as in {PAPER_TEMPLATE!r}."
        )
    import open_clip

    chosen = open_clip.SIMPLE_IMAGENET_TEMPLATES if name == "openai7" else open_clip.OPENAI_IMAGENET_TEMPLATES
    return tuple(template("{}") for template in chosen)


def cache_key(class_names: Sequence[str], model: str, pretrained: str, templates: Sequence[str]) -> str:
    """What an embedding depends on, as 16 hexadecimal digits: change a name's spelling or order and the key changes."""
    weights = digest(pretrained) if Path(pretrained).is_file() else pretrained
    if model.startswith(ELSEWHERE):
        weights = " ".join(digest(file) for file in sorted(Path(model.partition(":")[2]).glob("open_clip_*")))
    content = json.dumps([model, weights, list(templates), list(class_names)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def load_embeddings(path: str | Path, N: int) -> np.ndarray:
    """(N, D) float32 from a .npy file, one row per class in the order of the class list.

    Raises DataError if it cannot be read, and HierarchyError if it does not have N rows of finite numbers.
    """
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} cannot be read as a .npy array ({error}): make it with numpy.save.") from None
    if not isinstance(found, np.ndarray) or found.ndim != 2 or len(found) != N or found.dtype.kind != "f":
        shape = getattr(found, "shape", "several arrays")
        raise HierarchyError(f"{path} holds {shape}, expected floats ({N}, D): one row per class, in the list's order.")
    if not np.isfinite(found).all():
        row = int(np.argmin(np.isfinite(found).all(1)))
        raise HierarchyError(f"{path}, row {row} (from 0): not finite; embed that class again.")
    return found.astype(np.float32)


def _cache_folder() -> Path:
    named = os.environ.get("HIERLIB_CACHE")
    return (Path(named) if named else Path.home() / ".cache" / "hierlib").expanduser() / "clip"


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """No log lines and warnings of the downloaders, and no 50 seconds of retries on a machine without a network."""
    from huggingface_hub import constants

    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            mock.patch.object(constants, "HF_HUB_OFFLINE", constants.HF_HUB_OFFLINE or not _online()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _online() -> bool:
    """False only if the hub's name does not resolve and no proxy is set: then every download would fail."""
    if os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        return True
    try:
        socket.getaddrinfo("huggingface.co", 443)
    except OSError:
        return False
    return True


def _open(model: str, pretrained: str, device: str) -> Any:
    """The model with its weights, ready to encode text."""
    import open_clip

    if model.startswith(ELSEWHERE):
        return _create(model, None, False, device)
    tags = open_clip.list_pretrained_tags_by_model(model)
    if model not in open_clip.list_models():
        import difflib

        near = difflib.get_close_matches(model, open_clip.list_models(), 3, 0.5) or ["ViT-B-16", "ViT-B-32", "ViT-L-14"]
        raise HierarchyError(
            f"open_clip knows no model {model!r}: did you mean {', '.join(near)}? open_clip.list_models() has all."
        )
    local = Path(pretrained).is_file()
    if not local and pretrained not in tags:
        known = ", ".join(tags) or "none: give the path of a checkpoint"
        raise HierarchyError(f"open_clip knows no weights {pretrained!r} for {model}: it knows {known}.")
    # OpenAI's weights were trained with QuickGELU; open_clip only warns when the plain model name is used with them.
    quick = False if local else bool(open_clip.get_pretrained_cfg(model, pretrained).get("quick_gelu", False))
    return _create(model, pretrained, quick, device)


def _create(model: str, pretrained: str | None, quick: bool, device: str) -> Any:
    """pretrained: None where the model brings its weights."""
    import open_clip

    local = model.startswith("local-dir:") or (pretrained is not None and Path(pretrained).is_file())
    try:
        with _quietly():
            net = open_clip.create_model(
                model,
                pretrained=pretrained,
                device=device,
                force_quick_gelu=quick,
                require_pretrained=True,
            )
    except Exception as error:  # hub, urllib and torch raise many kinds; all of them mean: no weights
        reason = f"{type(error).__name__}: {_first_line(error)}"
        if not local and not _online():
            reason = "no network: huggingface.co is not found"
        raise DataError(
            f"the weights {pretrained or 'that come with it'!r} of {model} cannot be had ({reason}): "
            "connect to the internet, or give pretrained= the path of a checkpoint, or pass embeddings you have as a "
            ".npy file; the shipped tables in data/hierarchies need none of this."
        ) from error
    return net.eval()


def _encode(
    names: Sequence[str], net: Any, model: str, templates: Sequence[str], batch: int, device: str
) -> np.ndarray:
    import open_clip
    import torch
    from tqdm.auto import tqdm

    tokenizer = open_clip.get_tokenizer(model)
    parts = []
    with torch.no_grad():
        for start in tqdm(range(0, len(names), batch), desc=model, unit="batch", disable=None, leave=False):
            some = names[start : start + batch]
            per_template = [
                net.encode_text(tokenizer([t.format(n) for n in some]).to(device)).float() for t in templates
            ]
            if len(templates) > 1:
                per_template = [x / x.norm(dim=-1, keepdim=True) for x in per_template]
            parts.append(torch.stack(per_template).mean(0).cpu().numpy())
    return np.concatenate(parts)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:160]
