"""A contact sheet of faces: a query face and its most similar faces with their labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from moodspace.arrays import ByteArray

COLUMNS = 6

# Sizes in pixels: a face (three times its crop), the gap between faces, and a line of text.
_FACE, _GAP, _TEXT = 144, 16, 15
_CELL = _FACE + _GAP, _FACE + 3 * _TEXT + _GAP
_PAPER, _INK, _FAINT, _EMPTY = "#ffffff", "#202020", "#707070", "#e4e4e4"


@dataclass(frozen=True, slots=True, eq=False)
class SheetFace:
    """A face on a contact sheet.

    Attributes:
        crop: `(h, w)` uint8 in [0, 255], gray; None if the image is not available.
        title: First line of text below the face.
        note: Second line, in gray; text that is too long is cut at the beginning.
    """

    crop: ByteArray | None
    title: str
    note: str = ""


def contact_sheet(faces: Sequence[SheetFace], columns: int = COLUMNS) -> Image.Image:
    """Draw faces in rows, starting at the top left.

    Args:
        faces: One or more faces.
        columns: Faces per row.

    Raises:
        ValueError: There are no faces, or `columns` is less than 1.
    """
    if not faces or columns < 1:
        raise ValueError(f"sheet: expected at least one face and one column, got {len(faces)} and {columns}")
    columns = min(columns, len(faces))
    rows = -(-len(faces) // columns)
    sheet = Image.new("RGB", (columns * _CELL[0] + _GAP, rows * _CELL[1] + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_TEXT)
    for number, face in enumerate(faces):
        left, top = (
            _GAP + place * step for place, step in zip((number % columns, number // columns), _CELL, strict=True)
        )
        if face.crop is None:
            draw.rectangle([left, top, left + _FACE - 1, top + _FACE - 1], _EMPTY)
            draw.text((left + _FACE / 2, top + _FACE / 2), "not available", _FAINT, font, anchor="mm")
        else:
            sheet.paste(Image.fromarray(face.crop).resize((_FACE, _FACE), Image.Resampling.BICUBIC), (left, top))
        for line, (text, color) in enumerate(((face.title, _INK), (face.note, _FAINT))):
            draw.text((left, top + _FACE + 4 + line * (_TEXT + 4)), _fitted(text, font), color, font)
    return sheet


def _fitted(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Cut text at the beginning to the width of a face: the end of a path has the file's name."""
    if font.getlength(text) <= _FACE:
        return text
    while text and font.getlength("…" + text) > _FACE:
        text = text[1:]
    return "…" + text
