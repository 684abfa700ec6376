"""A sheet of faces side by side: one that was asked about, and the most similar ones with what they are labelled."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from moodspace.arrays import ByteArray

COLUMNS = 6

# Pixels: a face three times as large as its crop, and the space around it and below it for two lines.
_FACE, _GAP, _LETTERS = 144, 16, 15
_CELL = _FACE + _GAP, _FACE + 3 * _LETTERS + _GAP
_PAPER, _INK, _FAINT, _EMPTY = "#ffffff", "#202020", "#707070", "#e4e4e4"


@dataclass(frozen=True, slots=True, eq=False)
class SheetFace:
    """A face of a sheet.

    Attributes:
        crop: `(h, w)` uint8 in [0, 255], grey; None where its picture is not at hand.
        title: The first line below it.
        note: The second line, in grey; what is too long for the cell loses its beginning.
    """

    crop: ByteArray | None
    title: str
    note: str = ""


def contact_sheet(faces: Sequence[SheetFace], columns: int = COLUMNS) -> Image.Image:
    """Draws faces in rows, the first at the top left.

    Args:
        faces: At least one.
        columns: Faces in a row.

    Raises:
        ValueError: there is no face, or `columns` is less than 1.
    """
    if not faces or columns < 1:
        raise ValueError(f"sheet: expected faces and columns, got {len(faces)} faces and {columns} columns")
    columns = min(columns, len(faces))
    rows = -(-len(faces) // columns)
    sheet = Image.new("RGB", (columns * _CELL[0] + _GAP, rows * _CELL[1] + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_LETTERS)
    for number, face in enumerate(faces):
        left, top = (
            _GAP + place * step for place, step in zip((number % columns, number // columns), _CELL, strict=True)
        )
        if face.crop is None:
            draw.rectangle([left, top, left + _FACE - 1, top + _FACE - 1], _EMPTY)
            draw.text((left + _FACE / 2, top + _FACE / 2), "not at hand", _FAINT, font, anchor="mm")
        else:
            sheet.paste(Image.fromarray(face.crop).resize((_FACE, _FACE), Image.Resampling.BICUBIC), (left, top))
        for line, (text, ink) in enumerate(((face.title, _INK), (face.note, _FAINT))):
            draw.text((left, top + _FACE + 4 + line * (_LETTERS + 4)), _fitted(text, font), ink, font)
    return sheet


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Takes letters away at the front until the rest is as wide as a face; a file's name is at its path's end."""
    if font.getlength(text) <= _FACE:
        return text
    while text and font.getlength("…" + text) > _FACE:
        text = text[1:]
    return "…" + text
