"""What every drawing is made of: colours, rectangles, text and translucent plates. All colours are BGR."""

from functools import lru_cache
from typing import NamedTuple, Self

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.classifier.palette import class_shades

Colour = tuple[int, int, int]


def from_hex(rgb: str) -> Colour:
    """Returns the colour that "#RRGGBB" names."""
    red, green, blue = bytes.fromhex(rgb.removeprefix("#"))
    return blue, green, red


WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
DARK: Colour = (32, 32, 32)
AMBER = from_hex("#FFB74D")
RED = from_hex("#EF4444")

# On dark plates, the tones of the project's dark pages (`viz.theme`): what matters, what explains it, what bars lie on.
BRIGHT, DIM, TRACK, GROUND = (from_hex(tone) for tone in ("#ECEEF2", "#9AA0AA", "#2B2F36", "#14161A"))

REGULAR, MEDIUM, SEMIBOLD = 400, 500, 600

# Of the height of the letters: how far down from its top the line stands that they stand on.
_BASELINE = 0.8


class Rectangle(NamedTuple):
    """Pixels from (left, top) to just before (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels across, never negative."""
        return max(self.right - self.left, 0)

    @property
    def height(self) -> int:
        """Pixels down, never negative."""
        return max(self.bottom - self.top, 0)

    def shared(self, other: "Rectangle") -> int:
        """Returns how many pixels lie in both."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0) * max(height, 0)

    def inner(self, margin: int) -> Self:
        """Returns what is left within a margin."""
        return self._replace(
            left=self.left + margin, top=self.top + margin, right=self.right - margin, bottom=self.bottom - margin
        )

    def within(self, picture: ByteArray) -> Self:
        """Returns the part that lies in a picture."""
        height, width = picture.shape[:2]
        left, right = (min(max(x, 0), width) for x in (self.left, self.right))
        top, bottom = (min(max(y, 0), height) for y in (self.top, self.bottom))
        return self._replace(left=left, top=top, right=right, bottom=bottom)

    def of(self, picture: ByteArray) -> ByteArray:
        """Returns the picture's pixels in it, a view."""
        part = self.within(picture)
        return picture[part.top : part.bottom, part.left : part.right]


@lru_cache(maxsize=64)
def class_colors(classes: tuple[str, ...]) -> tuple[Colour, ...]:
    """Return the color of each class; see `classifier.palette.class_shades`."""
    return tuple(from_hex(shade) for shade in class_shades(classes))


@lru_cache(maxsize=256)
def is_light(colour: Colour) -> bool:
    """Whether black is easier to read on this colour than white (WCAG 2)."""
    blue, green, red = (((value / 255 + 0.055) / 1.055) ** 2.4 for value in colour)
    # The luminance at which black and white ink have the same contrast.
    return 0.0722 * blue + 0.7152 * green + 0.2126 * red > 0.179


def text_color_on(colour: Colour) -> Colour:
    """Returns black or white, whichever is easier to read on this colour."""
    return BLACK if is_light(colour) else WHITE


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Returns the colour between two that has this share, in [0, 1], of the first."""
    blue, green, red = (round(share * a + (1 - share) * b) for a, b in zip(first, second, strict=True))
    return blue, green, red


@lru_cache(maxsize=4096)
def text_width(text: str, letters: int, weight: int = REGULAR) -> int:
    """Returns how many pixels wide a text is.

    Args:
        text: One line.
        letters: The height of its letters, pixels.
        weight: Of the strokes, 100 to 900.
    """
    left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), letters, weight)
    return int(left + width)


@lru_cache(maxsize=1024)
def fitted(text: str, room: int, letters: int, weight: int = REGULAR) -> str:
    """Returns a text, or as much of its beginning as has room in so many pixels, with an ellipsis."""
    if text_width(text, letters, weight) <= room:
        return text
    for end in range(len(text) - 1, 0, -1):
        short = text[:end].rstrip() + "…"
        if text_width(short, letters, weight) <= room:
            return short
    return ""


def write(
    picture: ByteArray, text: str, left: int, top: int, colour: Colour, letters: int, weight: int = REGULAR
) -> None:
    """Writes one line.

    Args:
        picture: `(h, w, 3)` uint8, changed; what lies outside of it is cut off.
        text: The line.
        left, top: Pixels; the top of the letters' line.
        colour: Of the letters.
        letters: Their height, pixels.
        weight: Of the strokes, 100 to 900.
    """
    cv2.putText(picture, text, (left, top + round(_BASELINE * letters)), colour, cv2.FontFace("sans"), letters, weight)


def write_right(
    picture: ByteArray, text: str, right: int, top: int, colour: Colour, letters: int, weight: int = REGULAR
) -> None:
    """Writes one line that ends just before `right`; see `write`."""
    write(picture, text, right - text_width(text, letters, weight), top, colour, letters, weight)


def fill(picture: ByteArray, area: Rectangle, colour: Colour) -> None:
    """Paints an area of a picture, what of it lies within."""
    part = area.within(picture)
    if part.width and part.height:
        cv2.rectangle(picture, (part.left, part.top), (part.right - 1, part.bottom - 1), colour, cv2.FILLED)


def shade(picture: ByteArray, area: Rectangle, strength: float = 0.72, colour: Colour = GROUND) -> None:
    """Lays a translucent plate over an area of a picture; a strength of 1 hides what is below."""
    part = area.of(picture)
    if strength == 1:
        fill(picture, area, colour)
    elif part.size:
        # Scaling and adding in one pass, without an array as large as the part for the colour.
        cv2.transform(part, _veil_matrix(strength, colour), part)


@lru_cache(maxsize=64)
def _veil_matrix(strength: float, colour: Colour) -> np.ndarray:
    rest = 1 - strength
    return np.array([[rest if x == y else 0 for x in range(3)] + [strength * colour[y]] for y in range(3)])


def bar(picture: ByteArray, area: Rectangle, share: float, colour: Colour, track: Colour = TRACK) -> None:
    """Draws a horizontal bar that is filled up to a share in [0, 1]."""
    fill(picture, area, track)
    fill(picture, area._replace(right=area.left + round(min(max(share, 0.0), 1.0) * area.width)), colour)
