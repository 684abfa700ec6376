"""Drawing primitives: colors, rectangles, text, bars and translucent plates. All colors are BGR."""

from functools import lru_cache
from typing import NamedTuple, Self

import cv2
import numpy as np

from moodspace.arrays import ByteArray
from moodspace.classifier.palette import class_shades

Color = tuple[int, int, int]


def from_hex(rgb: str) -> Color:
    """Return the BGR color of "#RRGGBB"."""
    red, green, blue = bytes.fromhex(rgb.removeprefix("#"))
    return blue, green, red


WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
DARK: Color = (32, 32, 32)
AMBER = from_hex("#FFB74D")
RED = from_hex("#EF4444")
# Of faces without a certain expression, in the live window.
GRAY = from_hex("#5f6368")

# The tones of the dark theme (`moodspace.viz.theme`): main text, secondary text, the track of a bar, the background.
BRIGHT, DIM, TRACK, GROUND = (from_hex(tone) for tone in ("#ECEEF2", "#9AA0AA", "#2B2F36", "#14161A"))

REGULAR, MEDIUM, SEMIBOLD = 400, 500, 600

# Distance from the top of a line of text to its baseline, as a share of the text height.
_BASELINE = 0.8


class Rectangle(NamedTuple):
    """A rectangle of pixels; `right` and `bottom` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Width in pixels, at least 0."""
        return max(self.right - self.left, 0)

    @property
    def height(self) -> int:
        """Height in pixels, at least 0."""
        return max(self.bottom - self.top, 0)

    def shared(self, other: "Rectangle") -> int:
        """Return the area of the intersection in pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0) * max(height, 0)

    def inner(self, margin: int) -> Self:
        """Return the rectangle shrunk by a margin on each side."""
        return self._replace(
            left=self.left + margin, top=self.top + margin, right=self.right - margin, bottom=self.bottom - margin
        )

    def within(self, picture: ByteArray) -> Self:
        """Return the rectangle clipped to a picture."""
        height, width = picture.shape[:2]
        left, right = (min(max(x, 0), width) for x in (self.left, self.right))
        top, bottom = (min(max(y, 0), height) for y in (self.top, self.bottom))
        return self._replace(left=left, top=top, right=right, bottom=bottom)

    def of(self, picture: ByteArray) -> ByteArray:
        """Return a view of the picture's pixels in the rectangle."""
        part = self.within(picture)
        return picture[part.top : part.bottom, part.left : part.right]


@lru_cache(maxsize=64)
def class_colors(classes: tuple[str, ...]) -> tuple[Color, ...]:
    """Return the color of each class; see `moodspace.classifier.palette.class_shades`."""
    return tuple(from_hex(shade) for shade in class_shades(classes))


@lru_cache(maxsize=256)
def is_light(color: Color) -> bool:
    """Return whether black text has more contrast on this color than white text (WCAG 2)."""
    blue, green, red = (((value / 255 + 0.055) / 1.055) ** 2.4 for value in color)
    # The luminance on which black and white text have the same contrast.
    return 0.0722 * blue + 0.7152 * green + 0.2126 * red > 0.179


def text_color_on(color: Color) -> Color:
    """Return black or white, whichever has more contrast on this color."""
    return BLACK if is_light(color) else WHITE


def mix(first: Color, second: Color, share: float) -> Color:
    """Return a mix of two colors with this share, in [0, 1], of the first."""
    blue, green, red = (round(share * a + (1 - share) * b) for a, b in zip(first, second, strict=True))
    return blue, green, red


@lru_cache(maxsize=4096)
def text_width(text: str, text_height: int, weight: int = REGULAR) -> int:
    """Return the width of a text in pixels.

    Args:
        text: One line.
        text_height: Text height in pixels.
        weight: Font weight, 100 to 900.
    """
    left, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), cv2.FontFace("sans"), text_height, weight)
    return int(left + width)


@lru_cache(maxsize=1024)
def fitted(text: str, room: int, text_height: int, weight: int = REGULAR) -> str:
    """Return the text, shortened with an ellipsis if it is wider than `room` pixels; see `text_width`."""
    if text_width(text, text_height, weight) <= room:
        return text
    for end in range(len(text) - 1, 0, -1):
        short = text[:end].rstrip() + "…"
        if text_width(short, text_height, weight) <= room:
            return short
    return ""


def write(
    picture: ByteArray, text: str, left: int, top: int, color: Color, text_height: int, weight: int = REGULAR
) -> None:
    """Write one line of text.

    Args:
        picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed. Text beyond its edge is cut off.
        text: The line.
        left, top: Upper left corner in pixels.
        color: Color of the text.
        text_height: Text height in pixels.
        weight: Font weight, 100 to 900.
    """
    cv2.putText(
        picture, text, (left, top + round(_BASELINE * text_height)), color, cv2.FontFace("sans"), text_height, weight
    )


def write_right(
    picture: ByteArray, text: str, right: int, top: int, color: Color, text_height: int, weight: int = REGULAR
) -> None:
    """Write one line of text that ends at `right`, exclusive; see `write`."""
    write(picture, text, right - text_width(text, text_height, weight), top, color, text_height, weight)


def fill(picture: ByteArray, area: Rectangle, color: Color) -> None:
    """Fill an area of a picture, clipped to it."""
    part = area.within(picture)
    if part.width and part.height:
        cv2.rectangle(picture, (part.left, part.top), (part.right - 1, part.bottom - 1), color, cv2.FILLED)


def shade(picture: ByteArray, area: Rectangle, strength: float = 0.72, color: Color = GROUND) -> None:
    """Blend a color over an area of a picture; a strength of 1 is opaque."""
    part = area.of(picture)
    if strength == 1:
        fill(picture, area, color)
    elif part.size:
        # Scale and add in one pass, without another array of the part's size.
        cv2.transform(part, _blend_matrix(strength, color), part)


@lru_cache(maxsize=64)
def _blend_matrix(strength: float, color: Color) -> np.ndarray:
    rest = 1 - strength
    return np.array([[rest if x == y else 0 for x in range(3)] + [strength * color[y]] for y in range(3)])


def bar(picture: ByteArray, area: Rectangle, share: float, color: Color, track: Color = TRACK) -> None:
    """Draw a horizontal bar, filled up to a share in [0, 1]."""
    fill(picture, area, track)
    fill(picture, area._replace(right=area.left + round(min(max(share, 0.0), 1.0) * area.width)), color)


def paste_gray(picture: ByteArray, area: Rectangle, crop: ByteArray) -> None:
    """Draw a gray picture, scaled to an area; an area that is not within the picture stays as it is.

    Args:
        picture: `(h, w, 3)` uint8 in [0, 255], BGR; changed.
        area: Where to draw.
        crop: `(48, 48)` uint8 gray in [0, 255].
    """
    if area.within(picture) == area and area.width > 0 and area.height > 0:
        way = cv2.INTER_AREA if area.width < crop.shape[1] else cv2.INTER_LINEAR
        area.of(picture)[:] = cv2.resize(crop, (area.width, area.height), interpolation=way)[..., None]
