"""WebP, AVIF, JPEG XL: a fresh file for each byte budget, what formats of today can do when not progressive.

None of their Python decoders shows a part of a file, so a prefix shows nothing: they are ceilings, compared by a new
file for every budget, and counted as failing where no quality makes one so small. Pillow writes WebP and AVIF,
imagecodecs (libjxl) JPEG XL, as a bare codestream without a container.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..codec.protocol import Decoded
from ..errors import BitstreamError, PictureError
from ..images.pictures import check_picture, from_array
from .search import Files, largest_within

if TYPE_CHECKING:
    from torch import Tensor

PIXELS_MAX = 1 << 26


class FreshFile:
    """A codec of whole files. ``encode`` uses ``default``; ``encode_within`` looks for the quality that fits.

    ``Decoded.level`` is 1 for the whole file, 0 (mid-grey) for less of it.
    """

    name: str
    cut, portable = "the whole file", True
    default: float
    qualities: tuple[float, ...]  # rising
    side_max: int

    def __init__(self) -> None:
        self._files = Files(self._write)

    def encode(self, image: Tensor) -> bytes:
        """(3, H, W) float in [0, 1] -> the file of the default quality. Raises PictureError for what is no picture."""
        return self._files.of(self._checked(image))(self.default)

    def encode_within(self, image: Tensor, max_bytes: int) -> bytes:
        """The largest file of at most ``max_bytes``, by bisection on the quality; b"" if none is that small."""
        return largest_within(self._files.of(self._checked(image)), self.qualities, max_bytes)

    def decode(self, prefix: bytes) -> Decoded:
        """The whole file -> the picture; less of it -> mid-grey, (3, 1, 1): such a file does not say more.

        Raises BitstreamError for bytes that are no such file.
        """
        if not prefix:
            return _nothing()
        try:
            pixels = self._read(prefix)
        except (OSError, SyntaxError, ValueError, RuntimeError) as error:
            if self._cut(prefix):
                return _nothing()
            raise BitstreamError(
                f"These bytes are no {self.name} file that can be decoded ({error}): decode what encode returned."
            ) from None
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise BitstreamError(f"The {self.name} file holds {pixels.shape} {pixels.dtype}: it is damaged.")
        return Decoded(from_array(pixels), 1, 0, 0, bytes_used=len(prefix), complete=True)

    def _checked(self, image: Tensor) -> Tensor:
        image = check_picture(image)
        height, width = image.shape[1:]
        if max(height, width) > self.side_max or height * width > PIXELS_MAX:
            raise PictureError(
                f"{self.name} takes up to {self.side_max} a side and {PIXELS_MAX} pixels; this is {width}x{height}."
            )
        return image

    def _write(self, pixels: np.ndarray, quality: float) -> bytes:
        raise NotImplementedError

    def _read(self, file: bytes) -> np.ndarray:
        raise NotImplementedError

    def _cut(self, prefix: bytes) -> bool:
        """Whether bytes that do not decode are the beginning of a file, as far as its own lengths tell."""
        raise NotImplementedError


class _Pillows(FreshFile):
    """A format that Pillow writes. format: its name there; settings: beside the quality."""

    format: str
    settings: dict[str, Any]

    def _write(self, pixels: np.ndarray, quality: float) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, self.format, quality=int(quality), **self.settings)
        return buffer.getvalue()

    def _read(self, file: bytes) -> np.ndarray:
        if self._cut(file):
            raise ValueError("it ends early")
        with Image.open(io.BytesIO(file), formats=[self.format]) as opened:
            return np.asarray(opened)


class FreshWebP(_Pillows):
    """Lossy WebP, slowest method."""

    name, default, qualities, side_max = "webp-fresh", 75, tuple(range(101)), 16383
    format, settings = "WEBP", {"method": 6}

    def _cut(self, prefix: bytes) -> bool:
        signature = b"RIFF" + prefix[4:8] + b"WEBP"
        announced = int.from_bytes(prefix[4:8], "little") + 8 if len(prefix) >= 8 else len(prefix) + 1
        return signature.startswith(prefix[:12]) and len(prefix) < announced


class FreshAVIF(_Pillows):
    """AVIF at 4:2:0, the encoder's default speed."""

    name, default, qualities, side_max = "avif-fresh", 75, tuple(range(101)), 1 << 15
    format, settings = "AVIF", {"speed": 6, "max_threads": 1}

    def _cut(self, prefix: bytes) -> bool:
        if len(prefix) < 8:
            return b"ftyp".startswith(prefix[4:])
        if prefix[4:8] != b"ftyp":
            return False
        position, boxes = 0, []
        while position + 8 <= len(prefix):
            boxes.append(prefix[position + 4 : position + 8])
            length = int.from_bytes(prefix[position : position + 4], "big")
            if length < 8:
                return False
            position += length
        return position != len(prefix) or b"mdat" not in boxes  # the coded picture comes last


class FreshJPEGXL(FreshFile):
    """JPEG XL, lossy, effort 7; quality is the negative Butteraugli distance, 25 (the encoder's most) to 0.1."""

    name, default, side_max = "jxl-fresh", -1.0, 1 << 15
    qualities = tuple(-float(distance) for distance in np.geomspace(25, 0.1, 128).round(3))

    def _write(self, pixels: np.ndarray, quality: float) -> bytes:
        import imagecodecs

        return bytes(
            imagecodecs.jpegxl_encode(
                pixels, distance=-quality, lossless=False, effort=7, usecontainer=False, numthreads=1
            )
        )

    def _read(self, file: bytes) -> np.ndarray:
        import imagecodecs

        return imagecodecs.jpegxl_decode(file, numthreads=1)

    def _cut(self, prefix: bytes) -> bool:
        return b"\xff\x0a".startswith(prefix[:2])  # a bare codestream tells no length


def _nothing() -> Decoded:
    import torch

    return Decoded(torch.full((3, 1, 1), 0.5), level=0, symbols=0, symbols_total=0, bytes_used=0, complete=False)
