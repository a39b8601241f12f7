"""Pictures at the border: files in, tensors inside, files out; and the photographs that travel with scikit-image.

Inside the library a picture is a (3, H, W) float32 tensor in [0, 1].
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import PictureError
from ..files import replacing

if TYPE_CHECKING:
    from torch import Tensor

DEMONSTRATION = ("astronaut", "chelsea", "coffee", "horse", "rocket", "hubble_deep_field")


def load_picture(path: str | Path) -> Tensor:
    """Read any picture file that Pillow reads: (3, H, W) float32 in [0, 1].

    EXIF rotation is applied, grey becomes RGB, 16-bit is scaled, transparency is laid over white.
    Raises PictureError for a missing file, a folder, a file that is no picture, or one cut short.
    """
    path = Path(path)
    if not path.is_file():
        raise PictureError(
            f"{path} is {'a folder' if path.is_dir() else 'not there'}: name a picture file (JPEG, PNG, ...)."
        )
    try:
        with Image.open(path) as opened:
            return from_pil(opened)
    except UnidentifiedImageError:
        raise PictureError(
            f"{path} is no picture that Pillow can read: give a JPEG, PNG, WebP, TIFF or similar file."
        ) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(
            f"{path} cannot be read as a picture ({error}): it may be cut short, damaged or far too large."
        ) from None


def from_pil(opened: Image.Image) -> Tensor:
    """A PIL image of any mode -> (3, H, W) float32 in [0, 1]; see load_picture for what is done on the way."""
    upright = ImageOps.exif_transpose(opened)
    if upright.mode.startswith("I") or upright.mode == "F":
        wide = np.asarray(upright, dtype=np.float32)
        top = 65535.0 if upright.mode.startswith("I") else max(1.0, float(wide.max(initial=0.0)))
        rgb = np.repeat(np.clip(wide / top, 0, 1)[..., None], 3, axis=2)
    else:
        if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
            layered = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered)
        rgb = np.asarray(upright.convert("RGB"), dtype=np.float32) / 255
    return from_array(rgb)


def from_array(rgb: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 in [0, 255] or float in [0, 1] -> (3, H, W) float32 in [0, 1]."""
    import torch

    scaled = rgb.astype(np.float32) / (255 if rgb.dtype == np.uint8 else 1)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))


def check_picture(image: Tensor) -> Tensor:
    """Refuse what would silently code as nonsense; returns the picture as float32.

    Raises PictureError unless ``image`` is (3, H, W) with H, W >= 1, finite and within [0, 1].
    """
    import torch

    if image.ndim != 3 or image.shape[0] != 3 or min(image.shape[1:]) < 1:
        raise PictureError(f"A picture is a (3, H, W) tensor; this one is {tuple(image.shape)}.")
    if not image.is_floating_point():
        raise PictureError(f"A picture is float in [0, 1]; this one is {image.dtype}: divide by 255 first.")
    image = image.to(torch.float32)
    low, high = float(image.min()), float(image.max())
    if not (low >= -1e-6 and high <= 1 + 1e-6):
        raise PictureError(f"A picture lies in [0, 1]; this one in [{low:g}, {high:g}]: divide 8-bit values by 255.")
    return image.clamp(0, 1)


def to_uint8(image: Tensor) -> np.ndarray:
    """(3, H, W) float in [0, 1] -> (H, W, 3) uint8, rounded: what a viewer shows and a metric measures."""
    return (image.detach().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def png_bytes(image: Tensor) -> bytes:
    """(3, H, W) float in [0, 1] -> the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, "PNG")
    return buffer.getvalue()


def save_picture(image: Tensor, path: str | Path) -> None:
    """Write a picture in the format its suffix names, whole or not at all. PictureError for an unknown suffix."""
    path = Path(path)
    Image.init()  # registers every format that Pillow can write
    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise PictureError(f"{path.name} has no picture suffix: write to .png, .jpg or another that Pillow knows.")
    with replacing(path) as temporary:
        Image.fromarray(to_uint8(image)).save(temporary)


def demonstration(size: int | None = None, names: tuple[str, ...] = DEMONSTRATION) -> dict[str, Tensor]:
    """Photographs in scikit-image's wheel, by name: (3, H, W) float32 in [0, 1]; no download.

    size: if given, the centre square resized to (size, size).
    """
    import skimage.data

    pictures = {}
    for name in names:
        rgb = getattr(skimage.data, name)()
        if rgb.ndim == 2:  # horse is a binary silhouette
            rgb = np.repeat((rgb.astype(np.float32) / rgb.max())[..., None], 3, axis=2)
        pictures[name] = from_array(rgb) if size is None else centre_square(from_array(rgb), size)
    return pictures


def centre_square(image: Tensor, size: int) -> Tensor:
    """The largest centred square of a picture, resized to (3, size, size) with antialiasing."""
    import torch.nn.functional as F

    side = min(image.shape[1:])
    top, left = (image.shape[1] - side) // 2, (image.shape[2] - side) // 2
    square = image[:, top : top + side, left : left + side]
    return F.interpolate(square[None], size=(size, size), mode="bicubic", antialias=True)[0].clamp(0, 1)
