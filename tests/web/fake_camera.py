"""A webcam for Chromium: a clip of a public-domain picture that moves, and a browser that takes it for its camera."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from moodspace.embeddings.pictures import read_rgb
from moodspace.realtime.demo import picture_path
from tests.browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SIZE = 640, 480
_FRAMES, _SWAY = 60, 20


def write_clip(path: Path) -> None:
    """Write two seconds of a smiling face that sways, as the JPEGs one after another that Chromium reads."""
    picture = np.ascontiguousarray(read_rgb(picture_path())[:384, :512, ::-1])
    whole = cv2.resize(picture, SIZE)
    with path.open("wb") as file:
        for at in range(_FRAMES):
            frame = np.roll(whole, round(_SWAY * np.sin(2 * np.pi * at / _FRAMES)), axis=1)
            file.write(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def write_four_faces(path: Path) -> None:
    """Write two seconds of the same face four times, as `write_clip` does."""
    picture = np.ascontiguousarray(read_rgb(picture_path())[:384, :512, ::-1])
    small = cv2.resize(picture, (SIZE[0] // 2, SIZE[1] // 2), interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", np.tile(small, (2, 2, 1)), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    path.write_bytes(jpeg * _FRAMES)


@contextmanager
def browser_with_camera(clip: Path) -> Iterator["Browser"]:
    """Starts a headless Chromium whose camera shows a clip, and who asks nobody whether it may be used."""
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with chromium([*camera, f"--use-file-for-fake-video-capture={clip}"]) as browser:
        yield browser
