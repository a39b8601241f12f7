"""Picture files of every kind in, tensors in [0, 1], files out; and a sentence for what is no picture."""

import io
import math
import random

import numpy as np
import pytest
import torch
from PIL import Image

from hierlib.errors import PictureError
from hierlib.images import pictures

RGB = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def written(tmp_path, image, suffix=".png", **options):
    path = tmp_path / f"picture{suffix}"
    image.save(path, **options)
    return path


def psnr_db(a, b):
    return -10 * math.log10(float(((a - b) ** 2).mean()))


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".webp", ".ppm"])
def test_lossless_formats_come_back_exactly(tmp_path, suffix):
    options = {"lossless": True} if suffix == ".webp" else {}
    image = pictures.load_picture(written(tmp_path, Image.fromarray(RGB), suffix, **options))
    assert image.shape == (3, 12, 20)
    assert image.dtype == torch.float32
    assert np.array_equal(pictures.to_uint8(image), RGB)


def test_jpeg_is_close(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 64, dtype=np.uint8)[:, None, None], (1, 48, 3))
    image = pictures.load_picture(written(tmp_path, Image.fromarray(smooth), ".jpg", quality=95))
    assert psnr_db(image, pictures.from_array(smooth)) > 35


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side: turn by 90 degrees clockwise to see it
    image = pictures.load_picture(written(tmp_path, Image.fromarray(RGB), exif=exif))
    assert np.array_equal(pictures.to_uint8(image), np.rot90(RGB, -1))


def test_grey_becomes_rgb(tmp_path):
    image = pictures.load_picture(written(tmp_path, Image.fromarray(RGB[..., 0])))
    assert image.shape == (3, 12, 20)
    assert torch.equal(image[0], image[2])
    assert np.array_equal(pictures.to_uint8(image)[..., 1], RGB[..., 0])


def test_16_bit_is_scaled(tmp_path):
    wide = np.array([[0, 32768, 65535]], dtype=np.uint16)
    image = pictures.load_picture(written(tmp_path, Image.fromarray(wide)))
    assert image[0, 0].tolist() == pytest.approx([0, 32768 / 65535, 1])


def test_transparency_lies_over_white(tmp_path):
    layered = np.zeros((2, 2, 4), dtype=np.uint8)
    layered[0, :, 3] = 255
    image = pictures.load_picture(written(tmp_path, Image.fromarray(layered)))
    assert image[:, 0].unique().tolist() == [0.0]
    assert image[:, 1].unique().tolist() == [1.0]


def test_a_transparent_palette_colour_lies_over_white(tmp_path):
    indexed = Image.new("P", (2, 1))
    indexed.putpalette([0, 0, 0, 10, 20, 30] + [0] * 762)
    indexed.putpixel((1, 0), 1)
    image = pictures.load_picture(written(tmp_path, indexed, transparency=0))
    assert pictures.to_uint8(image).tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_cmyk_and_one_pixel(tmp_path):
    image = pictures.load_picture(written(tmp_path, Image.new("CMYK", (1, 1)), ".jpg"))
    assert image.shape == (3, 1, 1)
    assert image.min() > 0.98


def test_missing_file_and_folder_say_so(tmp_path):
    with pytest.raises(PictureError, match=r"gone\.jpg is not there"):
        pictures.load_picture(tmp_path / "gone.jpg")
    with pytest.raises(PictureError, match="is a folder"):
        pictures.load_picture(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"%PDF-1.7", bytes(1000)])
def test_what_is_no_picture_says_so(tmp_path, content):
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=r"notes\.jpg"):
        pictures.load_picture(path)


def test_a_cut_picture_says_so(tmp_path):
    path = written(tmp_path, Image.fromarray(np.tile(RGB, (20, 20, 1))), ".jpg")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(PictureError, match="cut short"):
        pictures.load_picture(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".gif", ".tiff", ".bmp"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")
def test_a_damaged_picture_loads_or_says_so(tmp_path, suffix):
    path = written(tmp_path, Image.fromarray(RGB), suffix)
    whole, draw = path.read_bytes(), random.Random(suffix)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[draw.randrange(len(whole))] = draw.randrange(256)
        path.write_bytes(damaged)
        try:
            image = pictures.load_picture(path)
        except PictureError:
            refused += 1
        else:
            assert torch.equal(pictures.check_picture(image), image)
    assert refused > 0


def test_save_and_load_are_inverse(tmp_path):
    image = pictures.from_array(RGB)
    pictures.save_picture(image, tmp_path / "a.png")
    assert torch.equal(pictures.load_picture(tmp_path / "a.png"), image)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("name", ["a", "a.xyz", "a.c2f", "a.psd"])
def test_saving_to_what_is_no_picture_format_says_so_and_leaves_nothing(tmp_path, name):
    with pytest.raises(PictureError, match=name):
        pictures.save_picture(pictures.from_array(RGB), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_png_bytes_are_the_picture():
    image = pictures.from_array(RGB)
    with Image.open(io.BytesIO(pictures.png_bytes(image))) as opened:
        assert np.array_equal(np.asarray(opened), RGB)


def test_float_and_8_bit_arrays_mean_the_same():
    assert torch.equal(pictures.from_array(RGB), pictures.from_array(RGB.astype(np.float32) / 255))


def test_to_uint8_rounds_and_clamps():
    image = torch.tensor([-0.5, 0.0, 0.4 / 255, 0.6 / 255, 1.0, 7.0]).expand(3, 1, 6)
    assert pictures.to_uint8(image)[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.zeros(1, 3, 8, 8), "(1, 3, 8, 8)"),
        (torch.zeros(8, 8, 3), "(8, 8, 3)"),
        (torch.zeros(3, 0, 8), "(3, 0, 8)"),
        (torch.zeros(3, 8, 8, dtype=torch.uint8), "torch.uint8"),
        (torch.full((3, 8, 8), 255.0), "[255, 255]"),
        (torch.full((3, 8, 8), -0.1), "[-0.1, -0.1]"),
        (torch.full((3, 8, 8), torch.nan), "nan"),
        (torch.full((3, 8, 8), torch.inf), "inf"),
    ],
)
def test_check_picture_names_what_it_found(image, says):
    with pytest.raises(PictureError) as caught:
        pictures.check_picture(image)
    assert says in str(caught.value)


def test_one_nan_among_good_values_is_found():
    image = torch.rand(3, 8, 8)
    image[1, 2, 3] = torch.nan
    with pytest.raises(PictureError):
        pictures.check_picture(image)


def test_check_picture_accepts_rounding_of_a_resize():
    image = torch.tensor([-5e-7, 1 + 5e-7], dtype=torch.float64).expand(3, 1, 2)
    checked = pictures.check_picture(image)
    assert checked.dtype == torch.float32
    assert (float(checked.min()), float(checked.max())) == (0.0, 1.0)


def test_demonstration_photographs_are_pictures():
    photographs = pictures.demonstration()
    assert tuple(photographs) == pictures.DEMONSTRATION
    for name, image in photographs.items():
        assert pictures.check_picture(image).std() > 0.05, name


def test_demonstration_in_one_size():
    photographs = pictures.demonstration(64, ("astronaut", "horse"))
    assert {image.shape for image in photographs.values()} == {(3, 64, 64)}
    for image in photographs.values():
        pictures.check_picture(image)


@pytest.mark.parametrize(("height", "width"), [(40, 100), (100, 40), (40, 40), (1, 1)])
def test_centre_square_is_the_centre(height, width):
    image = torch.zeros(3, height, width)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image[:, top : top + side, left : left + side] = 0.75
    square = pictures.centre_square(image, 16)
    assert square.shape == (3, 16, 16)
    assert torch.allclose(square, torch.tensor(0.75), atol=1e-5)
