"""The page of an explored data set: from its counts to the labels that are likely wrong, with the faces to look at."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from viz.explore import Exploration
from viz.explore_copies import copies_section
from viz.explore_errors import errors_section
from viz.explore_histogram import histogram
from viz.theme import class_shades, mark, page, text
from viz.thumbnails import Thumbnails

EXAMPLES = 24  # of each class
CLASSES = 60  # of so many; a folder for each person would make a page that nobody reads to its end
BLANKS, UNREADABLE = 24, 200  # shown; the document has them all
_FOLDER = Path(__file__).with_name("page")
_HONEST = (
    "A label says which expression somebody saw in a picture, not what the person felt. "
    "Everything on this page was counted on this machine, and the page loads nothing."
)


def exploration_page(found: Exploration, document: dict[str, Any]) -> str:
    """Returns one self-contained HTML document.

    Args:
        found: What was found.
        document: The same as `viz.explore_document.exploration_document` says it.
    """
    thumbnails = Thumbnails()
    sections = [
        _heading(document),
        _counts(found, document),
        _examples(found, thumbnails),
        _light(found, document, thumbnails),
        copies_section(found, document, thumbnails),
        errors_section(found, document, thumbnails),
        _unreadable(document),
    ]
    body = f'<main class="sheet">\n{"".join(sections)}<p class="faint small end">{_HONEST}</p>\n</main>'
    style = (_FOLDER / "explore.css").read_text(encoding="utf-8") + thumbnails.style()
    script = (_FOLDER / "explore.js").read_text(encoding="utf-8")
    return page(f"Moodspace: {', '.join(document['parts'])}", body, style=style, script=script)


def _heading(document: dict[str, Any]) -> str:
    same, near, errors = document["identical"], document["near"], document["label_errors"]
    figures = [
        ("faces", document["faces"]),
        ("class" if len(document["light"]) == 1 else "classes", len(document["light"])),
        ("with the same pixels as another", same["faces"]),
        ("pairs of near copies", near["pairs"]),
        ("labels likely wrong", "not asked" if errors is None else errors["likely"]),
        ("blank", len(document["blank"])),
        ("unreadable", len(document["unreadable"])),
    ]
    told = "".join(
        f"<div><dt>{name}</dt><dd>{value if isinstance(value, str) else f'{value:,}'}</dd></div>"
        for name, value in figures
    )
    parts = " and ".join(f"<b>{text(name)}</b>" for name in document["parts"])
    return f'<header><p class="faint">What is in</p><h1>{parts}</h1><dl class="figures">{told}</dl></header>\n'


def _counts(found: Exploration, document: dict[str, Any]) -> str:
    names, counts = found.data.names, found.data.counts
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    largest = shares.max(initial=0) or 1
    head = "".join(f'<th colspan="3" class="part">{text(name)}</th>' for name in names)
    rows = []
    for label, shade, own, share in zip(
        found.data.faces.classes, class_shades(found.data.faces.classes), counts, shares, strict=True
    ):
        cells = "".join(
            f'<td class="number">{n:,}</td><td class="wide"><span class="bar" '
            f'style="--share:{100 * part / largest:.1f}%;--shade:{shade}"><i></i></span></td>'
            f'<td class="number faint small">{part:.1%}</td>'
            for n, part in zip(own, share, strict=True)
        )
        rows.append(f'<tr><td>{mark(label, shade)}</td>{cells}<td class="number">{own.sum():,}</td></tr>')
    total = "".join(f'<td class="number">{n:,}</td><td colspan="2"></td>' for n in counts.sum(axis=0))
    return (
        f"<section><h2>Faces by class</h2><p class=faint>{_balance(found)}</p>"
        f'<div class="scroll card counts"><table><thead><tr><th></th>{head}<th class="number">all</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody><tfoot><tr><td>all</td>{total}"
        f'<td class="number">{document["faces"]:,}</td></tr></tfoot></table></div></section>\n'
    )


def _balance(found: Exploration) -> str:
    """Says how far apart the largest and the smallest class are."""
    counts, classes = found.data.counts.sum(axis=1), found.data.faces.classes
    if len(classes) == 1:
        return "There is one class alone, so there is nothing to tell it from."
    if len(missing := np.flatnonzero(counts == 0)):
        return f"There is no face of {text(', '.join(classes[column] for column in missing))}."
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = counts[most] / counts[least]
    if ratio < 1.5:
        return "The classes are about as large as each other."
    return f"For each face of {text(classes[least])} there are {ratio:.1f} of {text(classes[most])}."


def _examples(found: Exploration, thumbnails: Thumbnails) -> str:
    faces, chance = found.data.faces, np.random.default_rng(0)
    cards = []
    for label, shade, column in _shown_classes(found):
        rows = np.flatnonzero(faces.labels == column)
        mean = thumbnails.face(_mean(faces.crops, rows), f"mean of {len(rows):,} faces labelled {label}")
        some = chance.permutation(rows)[:EXAMPLES]
        shown = "".join(thumbnails.face(faces.crops[row], note(found, row)) for row in some)
        cards.append(
            f'<article class="card examples"><div class="mean">{mean}<small class="faint">mean</small></div>'
            f'<div><h3>{mark(label, shade)} <span class="faint">{len(rows):,}</span></h3>'
            f'<div class="strip">{shown}</div></div></article>'
        )
    return (
        "<section><h2>What they look like</h2><p class=faint>The mean of all faces of a class, its contrast "
        f"stretched, and faces drawn by lot. Point at a face to see it larger.</p>"
        f"{''.join(cards)}{_rest(found)}</section>\n"
    )


def _shown_classes(found: Exploration) -> list[tuple[str, str, int]]:
    """Name, shade and column of the first classes that have a face."""
    classes, counts = found.data.faces.classes, found.data.counts.sum(axis=1)
    shades = class_shades(classes)
    return [(classes[column], shades[column], int(column)) for column in np.flatnonzero(counts)[:CLASSES]]


def _rest(found: Exploration) -> str:
    more = int((found.data.counts.sum(axis=1) > 0).sum()) - CLASSES
    return f"<p class=faint>and {more:,} more classes</p>" if more > 0 else ""


def _mean(crops: npt.NDArray[np.uint8], rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
    """The mean face, stretched to the full range of grey, or all that is common to so many would be fog."""
    total = sum(crops[some].sum(axis=0, dtype=np.int64) for some in np.array_split(rows, 1 + len(rows) // 4096))
    mean = np.asarray(total) / len(rows)
    return np.rint((mean - mean.min()) / max(float(np.ptp(mean)), 1.0) * 255).astype(np.uint8)


def note(found: Exploration, row: int | np.integer[Any]) -> str:
    """Says which face this is, for the tip."""
    faces, data = found.data.faces, found.data
    return f"{faces.classes[faces.labels[row]]} · {data.names[data.part[row]]} · {faces.sources[row]}"


def _light(found: Exploration, document: dict[str, Any], thumbnails: Thumbnails) -> str:
    faces, cards = found.data.faces, []
    for label, shade, column in _shown_classes(found):
        own = faces.labels == column
        drawn = "".join(
            f"<figure>{histogram(values[own], values, shade, top)}<figcaption>{name} "
            f"<b>{document['light'][label][name]['median']:.0f}</b></figcaption></figure>"
            for name, values, top in (("brightness", found.brightness, 255.0), ("contrast", found.contrast, 110.0))
        )
        cards.append(f'<article class="card light"><h3>{mark(label, shade)}</h3>{drawn}</article>')
    shown = "".join(thumbnails.face(faces.crops[row], note(found, row)) for row in found.blank[:BLANKS])
    blank = (
        f'<div class="card"><h3>Blank pictures <span class="faint">{len(found.blank):,}</span></h3>'
        f'<div class="strip">{shown}</div></div>'
        if len(found.blank)
        else ""
    )
    return (
        "<section><h2>Light</h2><p class=faint>Brightness is the mean grey of a face, 0 black to 255 white; contrast "
        "its standard deviation. The line is all faces, the number the median.</p>"
        f'<div class="cards">{"".join(cards)}</div>{blank}</section>\n'
    )


def _unreadable(document: dict[str, Any]) -> str:
    if not (lost := document["unreadable"]):
        return ""
    rows = "".join(
        f"<tr><td>{text(one['part'])}</td><td class=path>{text(one['source'])}</td><td>{text(one['reason'])}</td></tr>"
        for one in lost[:UNREADABLE]
    )
    more = f"<p class=faint>and {len(lost) - UNREADABLE:,} more in the JSON</p>" if len(lost) > UNREADABLE else ""
    return (
        f'<section><h2>Unreadable <span class="faint">{len(lost):,}</span></h2><div class="scroll card"><table>'
        "<thead><tr><th>part</th><th>source</th><th>why</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{more}</section>\n"
    )
