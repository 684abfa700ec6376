"""The section about faces that are there more than once."""

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from viz.explore import BLANK_BELOW, Exploration
from viz.explore_document import different_labels, face_record
from viz.theme import class_shades, mark, text
from viz.thumbnails import Thumbnails

SHOWN = 24  # of each kind; the document has them all


def copies_section(found: Exploration, document: dict[str, Any], thumbnails: Thumbnails) -> str:
    """Returns the section as HTML, and adds the faces that it shows to `thumbnails`."""
    same, near = document["identical"], document["near"]
    if not same["groups"] and not near["pairs"]:
        return "<section><h2>Copies</h2><p class=faint>No face is there twice, and none nearly.</p></section>\n"
    told = (
        f"{same['faces']:,} faces share their pixels with another, in {same['groups']:,} groups; {near['pairs']:,} "
        "pairs are near copies: the same photograph cut, lit or packed otherwise, "
        f"{near['mirrored']:,} of them mirrored. A network tested on copies of what it learned from looks better than "
        "it is."
    )
    return (
        f"<section><h2>Copies</h2><p class=faint>{told}</p>{_table(document)}"
        f"{_contradictions(found, thumbnails)}{_pairs(found, document, thumbnails)}</section>\n"
    )


def _table(document: dict[str, Any]) -> str:
    twins, rows = document["twins"], []
    for name, part in document["parts"].items():
        across = sum(
            n
            for pair in document["identical"]["across"]
            for n, own in zip(pair["faces"], pair["parts"], strict=True)
            if own == name
        )
        cells = [part["faces"], document["identical"]["within"][name], across]
        if twins:
            cells += [twins[name]["marked"], twins[name]["elsewhere"]]
        numbers = "".join(f'<td class="number">{n:,}</td>' for n in cells)
        rows.append(f"<tr><td>{text(name)}</td>{numbers}</tr>")
    head = ["faces", "same pixels in this part", "same pixels in another part"]
    head += ["marked as twins", "of these, copy not at hand"] if twins else []
    titles = "".join(f'<th class="number">{title}</th>' for title in head)
    return (
        f'<div class="scroll card"><table><thead><tr><th>part</th>{titles}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _contradictions(found: Exploration, thumbnails: Thumbnails) -> str:
    if not (groups := different_labels(found)):
        return ""
    cards = []
    # Blank pictures come last: what they are labelled as teaches nothing about the labels.
    for rows in sorted(groups, key=lambda rows: found.contrast[rows[0]] < BLANK_BELOW)[:SHOWN]:
        sources = [found.data.faces.sources[row] for row in rows[:4]]
        face = thumbnails.face(found.data.faces.crops[rows[0]], ", ".join(sources) + ", …" * (len(rows) > 4))
        cards.append(f'<article class="twin">{face}<div>{_labels(found, rows)}</div></article>')
    return (
        f'<h3>The same pixels under different labels <span class="faint">{len(groups):,}</span></h3>'
        f'<p class=faint>At least one label of each is wrong.</p><div class="pairs single">{"".join(cards)}</div>'
    )


def _labels(found: Exploration, rows: npt.NDArray[np.integer[Any]]) -> str:
    """The labels of some faces, one below the other, each with the part that it is of and how often it is there."""
    classes = found.data.faces.classes
    shade_of = dict(zip(classes, class_shades(classes), strict=True))
    told = Counter((record["label"], record["part"]) for record in (face_record(found, row) for row in rows))
    return "".join(
        f"<div>{mark(label, shade_of[label])} <small class=faint>{text(part)}"
        f"{f', {n} times' if n > 1 else ''}</small></div>"
        for (label, part), n in told.items()
    )


def _pairs(found: Exploration, document: dict[str, Any], thumbnails: Thumbnails) -> str:
    copies, part = found.copies, found.data.part
    if not len(copies.pairs):
        return ""
    one, other = copies.pairs.T
    across = np.flatnonzero(part[one] != part[other])
    chosen = across if len(across) else np.arange(len(copies.pairs))
    # From the best to the least of them, so that the threshold can be judged too.
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(SHOWN, len(chosen))).astype(np.int64)]
    cards = []
    for number in chosen:
        faces = "".join(
            thumbnails.face(found.data.faces.crops[row], found.data.faces.sources[row]) for row in copies.pairs[number]
        )
        how = f"{copies.similarity[number]:.3f}{' mirrored' if copies.mirrored[number] else ''}"
        cards.append(
            f'<article class="twin">{faces}<div>{_labels(found, copies.pairs[number])}'
            f"<small class=faint>{how}</small></div></article>"
        )
    where = "in two parts" if len(across) else "in one part"
    return (
        f'<h3>Near copies {where} <span class="faint">{len(across) or len(copies.pairs):,}</span></h3>'
        f"<p class=faint>From the closest to the least close; a pair counts from a correlation of "
        f'{document["near"]["threshold"]} after the best shift.</p><div class="pairs">{"".join(cards)}</div>'
    )
