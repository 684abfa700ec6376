"""Tests of embeddings/pictures.py: every kind of picture, and every way to be broken."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from moodspace.embeddings import pictures
from moodspace.embeddings.pictures import MAX_PIXELS, PictureError, read_bgr, read_crop, read_rgb, to_crop

RAMP = np.add.outer(np.arange(48), np.arange(48)).astype(np.uint8) * 2


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG that says it is huge: grey, 8 bits, and no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_grey_picture_of_the_right_size_keeps_its_pixels(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "ramp.png")
    np.testing.assert_array_equal(read_crop(tmp_path / "ramp.png"), RAMP)
    np.testing.assert_array_equal(read_rgb(tmp_path / "ramp.png"), np.dstack([RAMP] * 3))
    np.testing.assert_array_equal(to_crop(RAMP), RAMP)


def test_channels_are_red_green_blue() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0, 2] = (255, 128, 1)
    np.testing.assert_array_equal(read_rgb(encoded(Image.fromarray(picture))), picture)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF"])
def test_other_formats(kind: str) -> None:
    if kind == "AVIF" and not Image.registered_extensions().get(".avif"):
        pytest.skip("this Pillow was built without AVIF")
    rgb = read_rgb(encoded(Image.fromarray(RAMP), kind))
    assert rgb.shape == (48, 48, 3)
    assert np.abs(rgb[..., 0].astype(int) - RAMP).mean() < 4


def test_mpo_of_phones_is_read_as_its_first_picture() -> None:
    first, second = Image.new("RGB", (6, 4), (200, 200, 200)), Image.new("RGB", (6, 4))
    rgb = read_rgb(encoded(first, "MPO", save_all=True, append_images=[second]))
    assert rgb.shape == (4, 6, 3)
    assert rgb.min() > 190


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"])
def test_white_is_white_in_every_mode(mode: str) -> None:
    white = Image.new("RGB", (48, 48), "white").convert(mode)
    assert read_crop(encoded(white, "TIFF" if mode in ("CMYK", "YCbCr") else "PNG")).min() == 255


def test_cmyk_jpeg_is_not_inverted() -> None:
    dark = Image.new("RGB", (48, 48), (20, 20, 20)).convert("CMYK")
    assert read_crop(encoded(dark, "JPEG")).max() < 60


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = np.linspace(0, 65535, 48 * 48).astype(np.uint16).reshape(48, 48)
    for data in (encoded(Image.fromarray(deep)), encoded(Image.fromarray(deep), "TIFF"), pgm16(deep)):
        np.testing.assert_allclose(read_crop(data), deep / 257, atol=0.51)


def pgm16(deep: np.ndarray) -> bytes:
    return b"P5 %d %d 65535\n" % deep.shape[::-1] + deep.astype(">u2").tobytes()


def test_pictures_without_a_fixed_white_are_refused() -> None:
    with pytest.raises(PictureError, match="floating point"):
        read_crop(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))
    with pytest.raises(PictureError, match="32"):
        read_crop(encoded(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "TIFF"))


def test_transparency_is_laid_on_white() -> None:
    hidden = np.zeros((48, 48, 4), np.uint8)
    hidden[:, 24:, 3] = 255
    rgb = read_rgb(encoded(Image.fromarray(hidden)))
    assert rgb[:, :24].min() == 255
    assert rgb[:, 24:].max() == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(kind: str, orientation: int) -> None:
    """Stored as a camera held that way would: bright is up left in the upright picture, whatever the tag says."""
    upright = np.full((32, 48), 30, np.uint8)
    upright[:16, :16] = 220
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    rgb = read_rgb(encoded(Image.fromarray(np.ascontiguousarray(turned)), kind, exif=exif.tobytes()))
    assert rgb.shape == (32, 48, 3)
    assert np.abs(rgb[..., 0].astype(int) - upright).mean() < 8


def test_broken_exif_does_not_cost_the_picture() -> None:
    data = encoded(Image.fromarray(RAMP), exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    np.testing.assert_array_equal(read_crop(data), RAMP)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("L", (48, 48), tone) for tone in (200, 10, 100)]
    crop = read_crop(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert abs(int(crop.min()) - 200) < 4


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not a picture at all", id="text"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", id="postscript"),
        pytest.param(encoded(Image.fromarray(RAMP))[:60], id="png cut short"),
        pytest.param(encoded(Image.fromarray(RAMP), "JPEG")[:-60], id="jpeg cut short"),
        pytest.param(encoded(Image.fromarray(RAMP), "WEBP")[:60], id="webp cut short"),
        pytest.param(encoded(Image.fromarray(RAMP), "GIF")[:60], id="gif cut short"),
        pytest.param(encoded(Image.fromarray(RAMP), "TIFF")[:60], id="tiff cut short"),
    ],
)
def test_broken_pictures_are_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(data)
    for source in (data, tmp_path / "broken"):
        with pytest.raises(PictureError, match=r"expected .*, got"):
            read_crop(source)


@pytest.mark.parametrize("side", [10_500, 12_000, 60_000])
def test_bombs_are_refused_by_their_header(side: int) -> None:
    """Just above our limit, above where Pillow warns, and above where Pillow refuses."""
    with pytest.raises(PictureError, match="pixels"):
        read_rgb(png_header(side, side))


def test_warnings_raised_as_errors_change_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PictureError, match="pixels"):
            read_rgb(png_header(12_000, 12_000))


def test_limit_lies_below_the_size_that_pillow_refuses() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert 100_000_000 <= MAX_PIXELS < 2 * Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
@pytest.mark.parametrize("height", [1, 255, 256, 600])
def test_bgr_is_rgb_with_its_channels_the_other_way_round(mode: str, height: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, 7, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "PNG")
    bgr = read_bgr(stream.getvalue())
    np.testing.assert_array_equal(bgr, read_rgb(stream.getvalue())[..., ::-1])
    assert bgr.flags.c_contiguous


def test_no_file_and_a_folder_are_os_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_rgb(tmp_path / "nothing.png")
    with pytest.raises((IsADirectoryError, PermissionError)):
        read_rgb(tmp_path)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"]), st.data())
def test_damage_gives_pixels_or_a_picture_error(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(encoded(Image.fromarray(RAMP), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        rgb = read_rgb(bytes(damaged))
    except PictureError:
        return
    assert rgb.dtype == np.uint8
    assert rgb.shape[2:] == (3,)


@pytest.mark.parametrize("shape", [(1, 1), (48, 47), (300, 200), (5, 900), (1, 1, 3), (301, 200, 3)])
def test_crops_of_any_picture_are_48_by_48(shape: tuple[int, ...]) -> None:
    crop = to_crop(np.full(shape, 77, np.uint8))
    assert crop.shape == (48, 48)
    assert crop.dtype == np.uint8
    assert (crop == 77).all()


def test_shrinking_averages() -> None:
    """A board of single black and white pixels is grey from afar; picking pixels would leave black or white."""
    board = (np.indices((480, 480)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert np.abs(to_crop(board).astype(int) - 127).max() <= 2


def test_the_whole_picture_is_the_crop() -> None:
    wide = np.zeros((100, 400), np.uint8)
    wide[:, :100] = 255
    crop = to_crop(wide)
    assert crop[:, :11].min() > 250
    assert crop[:, 13:].max() < 5


def test_grey_is_luma() -> None:
    red = np.zeros((48, 48, 3), np.uint8)
    red[..., 0] = 255
    assert (to_crop(red) == 76).all()
    assert (read_crop(encoded(Image.fromarray(red))) == 76).all()


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((48, 48), np.float32),
        np.zeros((48, 48, 4), np.uint8),
        np.zeros(48, np.uint8),
        np.zeros((0, 48), np.uint8),
        np.zeros((2, 48, 48, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(ValueError, match="picture: expected uint8"):
        to_crop(picture)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_large_jpeg_is_the_same_when_decoded_in_parts(
    turn: int, subsampling: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, columns = np.mgrid[:601, :333]
    picture = np.stack([rows % 256, columns % 200, (rows + columns) // 4], axis=-1).astype(np.uint8)
    picture[100:300, 50:90] = (200, 30, 40)
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(picture).save(stream, "JPEG", quality=95, subsampling=subsampling, exif=exif)
    usual = read_bgr(stream.getvalue())
    monkeypatch.setattr(pictures, "_LARGE", 1)
    monkeypatch.setattr(pictures, "_decode", None)
    parts = read_bgr(stream.getvalue())
    assert parts.shape == usual.shape
    difference = np.abs(parts.astype(int) - usual)
    assert difference.mean() < 1.5
    gray = [
        np.asarray(Image.fromarray(np.ascontiguousarray(one[..., ::-1])).convert("L"), int) for one in (parts, usual)
    ]
    assert np.quantile(np.abs(gray[0] - gray[1]), 0.99) <= 3


def test_a_large_jpeg_that_is_cut_is_refused_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_LARGE", 1)
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)).save(stream, "JPEG")
    with pytest.raises(PictureError, match="complete picture"):
        read_bgr(stream.getvalue()[:5000])
