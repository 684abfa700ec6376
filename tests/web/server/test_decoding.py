"""Uploaded pictures: decoded upright, or refused with one line."""

import io

import numpy as np
import pytest
from PIL import Image

from moodspace.web.server.decoding import UploadError, decode_picture, has_few_scans
from moodspace.web.server.settings import Limits
from tests.web.hostile import of_size
from tests.web.served import frame_jpeg

LIMITS = Limits(upload_bytes=100_000, picture_pixels=100_000)


def saved(kind: str, size=(40, 30), **options) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (250, 10, 20)).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_pixels_are_bgr(kind) -> None:
    bgr = decode_picture(saved(kind), LIMITS)
    assert bgr.shape == (30, 40, 3) and bgr.dtype == np.uint8 and bgr.flags.c_contiguous
    assert np.abs(bgr[5, 5].astype(int) - (20, 10, 250)).max() < 8


def test_too_many_bytes_are_refused_before_they_are_decoded(monkeypatch) -> None:
    monkeypatch.setattr("moodspace.web.server.decoding.read_bgr", lambda content: pytest.fail("was decoded"))
    with pytest.raises(UploadError, match=r"at most 0 MB, got 0\.1 MB"):
        decode_picture(b"\0" * 100_001, LIMITS)


def test_too_many_pixels_are_refused() -> None:
    with pytest.raises(UploadError, match=r"0\.1 megapixels, got 0\.12"):
        decode_picture(saved("PNG", (400, 300)), LIMITS)


def test_a_header_that_promises_billions_of_pixels_is_refused() -> None:
    with pytest.raises(UploadError):
        decode_picture(of_size(60_000, 60_000), LIMITS)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff", saved("PNG")[:50], b"<svg/>", b"%!PS-Adobe"])
def test_what_is_no_picture_is_refused_in_one_line(content) -> None:
    with pytest.raises(UploadError) as caught:
        decode_picture(content, LIMITS)
    assert str(caught.value) and "\n" not in str(caught.value)


def test_scans_are_counted_up_to_the_end_of_the_picture() -> None:
    plain, progressive = frame_jpeg(), saved("JPEG", progressive=True)
    assert has_few_scans(plain, 1) and not has_few_scans(plain, 0)
    assert has_few_scans(progressive, 10) and not has_few_scans(progressive, 5)
    assert has_few_scans(plain + b"\xff\xda" * 1000, 1)  # as in a video that follows the picture


def test_a_picture_of_thousands_of_scans_is_refused() -> None:
    progressive = saved("JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    many = progressive[:-2] + progressive[last:-2] * 3000 + progressive[-2:]
    with pytest.raises(UploadError, match="64 scans"):
        decode_picture(many, LIMITS)
