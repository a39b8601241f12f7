"""Progressive JPEG, one file cut at any byte: what a browser shows of a half-loaded photograph.

Pillow (libjpeg-turbo) writes and reads the files. A prefix gets an end-of-image marker, which libjpeg takes as the end
of the scan it is in and fills the rest; so nothing global has to be switched (Pillow's own switch for cut files,
``ImageFile.LOAD_TRUNCATED_IMAGES``, does the same, for all threads of the process at once).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..codec.protocol import Decoded
from ..errors import BitstreamError, BudgetError, PictureError
from ..images.pictures import check_picture, from_array, to_uint8
from .search import Files

if TYPE_CHECKING:
    from torch import Tensor

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SOF2, SOS = 0xC2, 0xDA
PIXELS_MAX = 1 << 26
SIDE_MAX = 65500  # libjpeg's JPEG_MAX_DIMENSION


@dataclass(frozen=True)
class Scan:
    """One scan: its entropy-coded bytes lie in [start, end)."""

    start: int
    end: int


class ProgressiveJPEG:
    """One progressive JPEG a picture. quality: 1 to 95, Pillow's scale.

    ``Decoded.level`` counts whole scans. A prefix without a byte of the first scan is mid-grey.
    """

    cut, portable = "any byte", True

    def __init__(self, quality: int = 75) -> None:
        if not 1 <= quality <= 95:
            raise BudgetError(f"JPEG was asked for quality {quality}: ask for 1 to 95.")
        self.quality, self.name = quality, f"jpeg-{quality}"

    def encode(self, image: Tensor) -> bytes:
        """(3, H, W) float in [0, 1] -> the whole file. Raises PictureError for what is no picture, or too large."""
        return _encode(to_uint8(_checked(image)), self.quality)

    def decode(self, prefix: bytes) -> Decoded:
        """Any prefix -> the picture so far; mid-grey before the first scan, and (3, 1, 1) where the size is unknown.

        Raises BitstreamError for bytes that are no progressive JPEG.
        """
        size, scans = _walk(prefix)
        usable = _usable(prefix, scans)
        if size is None or not usable:
            return _nothing(size)
        complete = _complete(prefix, scans)
        return Decoded(
            image=_read(usable + EOI, size),
            level=len(scans) if complete else len(scans) - (scans[-1].end >= len(prefix)),
            symbols=0,
            symbols_total=0,
            bytes_used=len(prefix) if complete else len(usable),
            complete=complete,
        )

    def level_ends(self, stream: bytes) -> tuple[int, ...]:
        """Bytes after which each scan but the last is known to be whole: its data and the marker that follows."""
        return tuple(scan.end + 2 for scan in _walk(stream)[1] if scan.end + 2 < len(stream))


class BestJPEG(ProgressiveJPEG):
    """Progressive JPEG at the quality that suits each budget best: a sender who knows where the line will drop.

    ``encode`` is quality 75. Not one file for all budgets, so a ceiling of what one progressive JPEG can do.
    """

    cut = "any byte, of a file for each budget"
    QUALITIES = (1, 3, 5, 8, 12, 18, 25, 35, 50, 65, 80, 95)

    def __init__(self) -> None:
        super().__init__()
        self.name = "jpeg-best"
        self._files = Files(lambda pixels, quality: _encode(pixels, int(quality)))

    def encode_within(self, image: Tensor, max_bytes: int) -> bytes:
        """Of the files at each of QUALITIES, cut at ``max_bytes``, the one nearest to the picture by squared error."""
        if max_bytes < 1:
            raise BudgetError(f"A file was to have {max_bytes} bytes: ask for at least 1.")
        image = _checked(image)
        file = self._files.of(image)
        cuts = dict.fromkeys(file(quality)[:max_bytes] for quality in self.QUALITIES)
        return min(cuts, key=lambda cut: _error(self.decode(cut).image, image))


def _checked(image: Tensor) -> Tensor:
    image = check_picture(image)
    _, height, width = image.shape
    if max(height, width) > SIDE_MAX or height * width > PIXELS_MAX:
        raise PictureError(
            f"JPEG takes up to {SIDE_MAX} a side and {PIXELS_MAX} pixels here; this is {width}x{height}."
        )
    return image


def _encode(pixels: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, progressive=True, optimize=True)
    return buffer.getvalue()


def _error(shown: Tensor, image: Tensor) -> float:
    """Mean squared error; a picture of unknown size is mid-grey."""
    return float((image - (shown if shown.shape == image.shape else 0.5)).square().mean())


def _walk(prefix: bytes) -> tuple[tuple[int, int] | None, list[Scan]]:
    """(width, height) once known, and the scans begun. Raises BitstreamError where a marker must be and is not."""
    if prefix[:2] != SOI[: len(prefix)]:
        raise BitstreamError("These bytes are no JPEG file: one begins with FFD8. Decode what encode returned.")
    size, scans, position = None, [], 2
    while position + 4 <= len(prefix) and prefix[position : position + 2] != EOI:
        marker, length = prefix[position + 1], int.from_bytes(prefix[position + 2 : position + 4], "big")
        if prefix[position] != 0xFF or length < 2:
            raise BitstreamError(f"The JPEG file has no marker at byte {position}: it is damaged.")
        after = position + 2 + length
        if marker == SOF2 and position + 9 <= len(prefix):
            height, width = (int.from_bytes(prefix[position + at : position + at + 2], "big") for at in (5, 7))
            if not (width and height) or width * height > PIXELS_MAX:
                raise BitstreamError(f"The JPEG header says {width}x{height} pixels, which this codec never writes.")
            size = (width, height)
        if 0xC0 <= marker <= 0xCF and marker not in (SOF2, 0xC4, 0xC8, 0xCC):
            raise BitstreamError("This JPEG file is not progressive: decode what this codec's encode returned.")
        if marker == SOS and after < len(prefix):
            end = _end_of_scan(prefix, after)
            scans.append(Scan(after, end))
            after = end
        position = after
    return size, scans


def _end_of_scan(prefix: bytes, position: int) -> int:
    """Position of the marker that follows entropy-coded data (FF00 is data, FFD0 to FFD7 restarts), or the end."""
    while (position := prefix.find(b"\xff", position)) >= 0 and position + 1 < len(prefix):
        if prefix[position + 1] != 0 and not 0xD0 <= prefix[position + 1] <= 0xD7:
            return position
        position += 2
    return len(prefix)


def _usable(prefix: bytes, scans: Sequence[Scan]) -> bytes:
    """The prefix up to the last byte of entropy-coded data: a half marker segment would be taken for a broken file."""
    if not scans:
        return b""
    usable = prefix[: scans[-1].end]
    return usable[:-1] if usable.endswith(b"\xff") else usable


def _complete(prefix: bytes, scans: Sequence[Scan]) -> bool:
    return bool(scans) and prefix[scans[-1].end :] == EOI


def _read(file: bytes, size: tuple[int, int]) -> Tensor:
    try:
        with Image.open(io.BytesIO(file), formats=["JPEG"]) as opened:
            if opened.size != size or opened.mode != "RGB":
                raise BitstreamError(f"The JPEG file holds a {opened.mode} picture of {opened.size}: it is damaged.")
            return from_array(np.asarray(opened))
    except (OSError, SyntaxError, ValueError) as error:
        raise BitstreamError(f"The JPEG file cannot be decoded ({error}): it is damaged.") from None


def _nothing(size: tuple[int, int] | None) -> Decoded:
    import torch

    width, height = size or (1, 1)
    grey = torch.full((3, height, width), 0.5)
    return Decoded(grey, level=0, symbols=0, symbols_total=0, bytes_used=0, complete=False)
