"""Faces as cards: the expression of each, its confidence, and the most similar known faces."""

import base64
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from moodspace.viz.report.figures import percent
from moodspace.viz.theme import mark, text

# Number of probabilities listed per face; those of the other classes are close to 0.
_LISTED = 4


def face_cards(
    faces: Sequence[Mapping[str, Any]],
    thumbnails: Sequence[bytes],
    shades: Mapping[str, str],
    reasons: Sequence[str] = (),
    pictures: Mapping[int, bytes] = MappingProxyType({}),
) -> str:
    """Return the cards as HTML, numbered from 1 if there are several.

    Args:
        faces: Faces as in `moodspace.realtime.documents.face_documents`.
        thumbnails: A JPEG of each face.
        shades: A CSS color for each class.
        reasons: For each face, why its expression differs from its neighbors' votes, as plain text; "" if it does not.
        pictures: A PNG of each neighbor that has a picture, by its id.
    """
    several = len(faces) > 1
    cards = [
        _card(face, _image(picture, f"face {number}"), shades, f"Face {number}" if several else "", why, pictures)
        for number, (face, picture, why) in enumerate(
            zip(faces, thumbnails, reasons or [""] * len(faces), strict=True), 1
        )
    ]
    return f'<div class="faces">{"".join(cards)}</div>'


def crop_row(crops: Sequence[bytes], source: str) -> str:
    """Return a picture's crops side by side as HTML, numbered if there are several.

    Args:
        crops: A PNG of each crop.
        source: The picture's name, plain text.
    """
    several = len(crops) > 1
    captions = [f"<figcaption>{number}</figcaption>" if several else "" for number in range(1, len(crops) + 1)]
    faces = "".join(
        f"<figure>{_image(crop, 'a face as the network sees it', 'png')}{caption}</figure>"
        for crop, caption in zip(crops, captions, strict=True)
    )
    return f'<div class="crops">{faces}<p class="faint small">{text(source)}</p></div>'


def notice(message: str, lead: str = "", *, wrong: bool = True) -> str:
    """Return a message as HTML.

    Args:
        message: The message, plain text.
        lead: What the message is about, plain text shown in bold before it.
        wrong: Whether the message reports a fault.
    """
    about = f"<b>{text(lead)}</b> " if lead else ""
    return f'<p class="notice{" wrong" if wrong else ""}" role="status">{about}{text(message)}</p>'


def _card(
    face: Mapping[str, Any],
    image: str,
    shades: Mapping[str, str],
    number: str,
    reason: str,
    pictures: Mapping[int, bytes],
) -> str:
    expression = str(face["expression"])
    title = "Unsure" if face["unknown"] else mark(expression, shades[expression])
    share = f'<span class="number">{100 * face["confidence"]:.0f} %</span>'
    unreadable = (face.get("quality") or {}).get("reason")
    unsure = f"{unreadable}; it cannot be read" if unreadable else "confidence too low; most likely first"
    meaning = unsure if face["unknown"] else "expression shown"
    details = f'<p class="faint small">{" · ".join(filter(None, (number, meaning)))}</p>'
    return (
        f'<article class="card face">{image}<h3>{title}{share}</h3>{details}'
        f"{_probabilities(face['probabilities'], shades)}"
        f"{_neighbors(face['neighbors'], shades, reason, pictures)}</article>"
    )


def _probabilities(probabilities: Mapping[str, float], shades: Mapping[str, str]) -> str:
    top = sorted(probabilities.items(), key=lambda pair: -pair[1])[:_LISTED]
    rows = "".join(
        f'<dt>{text(name)}</dt><dd class="bar" style="--share:{100 * share:.1f}%;--shade:{shades[name]}"><i></i></dd>'
        f'<dd class="number">{percent(share)}</dd>'
        for name, share in top
    )
    return f'<dl class="chances">{rows}</dl>'


def _neighbors(
    neighbors: Sequence[Mapping[str, Any]], shades: Mapping[str, str], reason: str, pictures: Mapping[int, bytes]
) -> str:
    if not neighbors:
        return ""
    explanation = f"<p>{text(reason)}</p>" if reason else ""
    rows = "".join(
        f"<li>{_picture(pictures.get(one['id']))}{_label(one['label'], shades)}"
        f'<span class="source" title="{text(one["source"])}">{text(one["source"])}</span>'
        f'<span class="number">{one["similarity"]:.3f}</span></li>'
        for one in neighbors
    )
    return f'<div class="why">Most similar faces, by similarity (1 = identical)<ol>{rows}</ol>{explanation}</div>'


def _picture(content: bytes | None) -> str:
    return "" if content is None else _image(content, "", "png")


def _label(label: str | None, shades: Mapping[str, str]) -> str:
    return mark(label, shades.get(label, "var(--faint)")) if label else '<span class="faint">no label</span>'


def _image(content: bytes, alt: str, format_: str = "jpeg") -> str:
    return f'<img src="data:image/{format_};base64,{base64.b64encode(content).decode()}" alt="{text(alt)}">'
