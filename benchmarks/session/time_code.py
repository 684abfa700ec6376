"""Draw a number into a picture so that it survives scaling; a live source whose pictures contain their times."""

import time
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.realtime.capture.source import Frame, Source

# Black and white blocks along the lower edge: a number of 24 bits, lowest bit first, and a checksum of 8 bits.
_BITS, _CHECK_BITS = 24, 8
_BLOCK = 12
WIDTH, HEIGHT = _BLOCK * (_BITS + _CHECK_BITS), _BLOCK
_BIT_VALUES = 1 << np.arange(_BITS + _CHECK_BITS)


def write_code(bgr: ByteArray, number: int) -> None:
    """Draw a number into the lower left corner of a picture.

    Args:
        bgr: `(h, w, 3)` uint8, at least `WIDTH` wide; changed in place.
        number: 0 to 2**24 - 1.
    """
    word = number % 2**_BITS
    bits = (word | _check(word) << _BITS) & _BIT_VALUES != 0
    bgr[-HEIGHT:, :WIDTH] = np.repeat(bits, _BLOCK)[None, :, None] * np.uint8(255)


def read_code(bgr: ByteArray) -> int | None:
    """Return the number in a picture of its original size; None if it cannot be read."""
    half = _BLOCK // 2
    middles = (
        bgr[-half - 2 : -half + 2, :WIDTH].mean(axis=(0, 2)).reshape(-1, _BLOCK)[:, half - 2 : half + 2].mean(axis=1)
    )
    word = int((_BIT_VALUES * (middles > 127)).sum())
    number, check = word % 2**_BITS, word >> _BITS
    return number if check == _check(number) else None


def _check(number: int) -> int:
    # An all-black or all-white row must not be valid.
    return (sum(number.to_bytes(_BITS // 8, "little")) + 90) % 2**_CHECK_BITS


class CodedSource(Source):
    """Yield pictures in real time, each with its number drawn into it; late ones are left out.

    Args:
        pictures: `(h, w, 3)` uint8 each, used in turn.
        fps: Frames per second.
        seconds: The duration.
        clock: Return the time in seconds.
    """

    def __init__(
        self,
        pictures: Sequence[ByteArray],
        fps: float,
        seconds: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(live=True)
        self._pictures, self.fps, self._seconds, self._clock = pictures, fps, seconds, clock
        self._begun = clock()

    def __iter__(self) -> Iterator[Frame]:
        self._begun = self._clock()
        index, number = 0, 0
        while (due := number / self.fps) < self._seconds:
            if (early := self._begun + due - self._clock()) > 0:
                time.sleep(early)
            bgr = self._pictures[number % len(self._pictures)].copy()
            write_code(bgr, number)
            yield Frame("time codes", index, due, bgr, self.fps)
            index += 1
            number = max(number + 1, int((self._clock() - self._begun) * self.fps))

    def age(self, bgr: ByteArray) -> float | None:
        """Return the seconds since a picture was due, by its code; None if that cannot be read."""
        number = read_code(bgr)
        return None if number is None else self._clock() - self._begun - number / self.fps


def moving(picture: ByteArray, width: int, height: int, steps: int) -> list[ByteArray]:
    """Return pictures in which a smaller one of the same height moves from side to side and back.

    Args:
        picture: `(h, w, 3)` uint8; it is scaled to `height`.
        width: The width of the pictures in pixels.
        height: Their height in pixels.
        steps: The number of pictures.
    """
    scale = height / picture.shape[0]
    small = cv2.resize(picture, (min(width, round(scale * picture.shape[1])), height), interpolation=cv2.INTER_AREA)
    room = width - small.shape[1]
    pictures = []
    for step in range(steps):
        left = round(room * (1 - np.cos(2 * np.pi * step / steps)) / 2)
        canvas = np.full((height, width, 3), 96, np.uint8)
        canvas[:, left : left + small.shape[1]] = small
        pictures.append(canvas)
    return pictures
