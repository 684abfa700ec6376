"""The page of a data set: class counts, example faces, light, duplicates, likely label errors, unreadable images."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.classifier.palette import class_shades
from moodspace.embeddings.data.labels import canonical
from moodspace.embeddings.files.names import write_whole
from moodspace.viz.explore.document import TOP, different_labels, face_record, to_document
from moodspace.viz.explore.exploration import BLANK_BELOW, Exploration
from moodspace.viz.explore.figures import Thumbnails, histogram
from moodspace.viz.explore.label_errors import FOLDS, MIN_FACES
from moodspace.viz.theme import mark, page, text

PAGE, DOCUMENT = "explore.html", "explore.json"
# Maximum numbers on the page; the document lists all.
EXAMPLES, CLASSES = 24, 60  # examples of each class; classes with examples
BLANKS, UNREADABLE = 24, 200
_FOLDER = Path(__file__).parent
_DISCLAIMER = (
    "A label names the expression that an annotator saw in an image, not what the person felt. "
    "Everything on this page was computed on this computer; the page loads nothing from the network."
)

DUPLICATES = 24  # duplicates of each kind
_NOBODY = "#b9bcc2"  # votes for an unknown expression, or for not a face


def write_exploration(exploration: Exploration, folder: Path) -> tuple[Path, Path]:
    """Write `explore.html`, one self-contained page, and `explore.json` into a folder, which is made if missing.

    Returns:
        The two files.

    Raises:
        OSError: A file cannot be written.
    """
    document = to_document(exploration)
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / PAGE, folder / DOCUMENT
    shown, told = exploration_page(exploration, document), json.dumps(document, allow_nan=False)
    write_whole(page, lambda file: file.write_text(shown, encoding="utf-8"))
    write_whole(data, lambda file: file.write_text(told, encoding="utf-8"))
    return page, data


def exploration_page(found: Exploration, document: dict[str, Any]) -> str:
    """Return the findings as one self-contained HTML document.

    Args:
        found: The findings.
        document: The same findings, as `moodspace.viz.explore.document.to_document` returns them.
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
    body = f'<main class="sheet">\n{"".join(sections)}<p class="faint small end">{_DISCLAIMER}</p>\n</main>'
    style = (_FOLDER / "explore.css").read_text(encoding="utf-8") + thumbnails.style()
    script = (_FOLDER / "explore.js").read_text(encoding="utf-8")
    return page(f"Moodspace: {', '.join(document['parts'])}", body, style=style, script=script)


def _heading(document: dict[str, Any]) -> str:
    same, near, errors = document["identical"], document["near"], document["label_errors"]
    figures = [
        ("faces", document["faces"]),
        ("class" if len(document["light"]) == 1 else "classes", len(document["light"])),
        ("with an identical copy", same["faces"]),
        ("pairs of near copies", near["pairs"]),
        ("likely label errors", "not checked" if errors is None else errors["likely"]),
        ("blank images", len(document["blank"])),
        ("unreadable images", len(document["unreadable"])),
    ]
    figures_html = "".join(
        f"<div><dt>{name}</dt><dd>{value if isinstance(value, str) else f'{value:,}'}</dd></div>"
        for name, value in figures
    )
    parts = " and ".join(f"<b>{text(name)}</b>" for name in document["parts"])
    return f'<header><p class="faint">Data set</p><h1>{parts}</h1><dl class="figures">{figures_html}</dl></header>\n'


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
    """Compare the largest class with the smallest."""
    counts, classes = found.data.counts.sum(axis=1), found.data.faces.classes
    if len(classes) == 1:
        return "There is only one class."
    if len(missing := np.flatnonzero(counts == 0)):
        return f"No faces of class {text(', '.join(classes[column] for column in missing))}."
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = counts[most] / counts[least]
    if ratio < 1.5:
        return "The classes are of similar size."
    return f"Class {text(classes[most])} has {ratio:.1f} times as many faces as class {text(classes[least])}."


def _examples(found: Exploration, thumbnails: Thumbnails) -> str:
    faces, rng = found.data.faces, np.random.default_rng(0)
    cards = []
    for label, shade, column in _shown_classes(found):
        rows = np.flatnonzero(faces.labels == column)
        mean = thumbnails.face(_mean(faces.crops, rows), f"mean of {len(rows):,} faces labeled {label}")
        some = rng.permutation(rows)[:EXAMPLES]
        shown = "".join(thumbnails.face(faces.crops[row], note(found, row)) for row in some)
        cards.append(
            f'<article class="card examples"><div class="mean">{mean}<small class="faint">mean</small></div>'
            f'<div><h3>{mark(label, shade)} <span class="faint">{len(rows):,}</span></h3>'
            f'<div class="strip">{shown}</div></div></article>'
        )
    return (
        "<section><h2>Example faces</h2><p class=faint>The mean face of each class with its contrast stretched, and a "
        f"random sample of faces. Point at a face to enlarge it.</p>"
        f"{''.join(cards)}{_more_classes(found)}</section>\n"
    )


def _shown_classes(found: Exploration) -> list[tuple[str, str, int]]:
    """Return name, color and column of the first classes that have faces."""
    classes, counts = found.data.faces.classes, found.data.counts.sum(axis=1)
    shades = class_shades(classes)
    return [(classes[column], shades[column], int(column)) for column in np.flatnonzero(counts)[:CLASSES]]


def _more_classes(found: Exploration) -> str:
    more = int((found.data.counts.sum(axis=1) > 0).sum()) - CLASSES
    return f"<p class=faint>and {more:,} more classes</p>" if more > 0 else ""


def _mean(crops: npt.NDArray[np.uint8], rows: npt.NDArray[np.intp]) -> npt.NDArray[np.uint8]:
    """Return the mean face, with its contrast stretched to [0, 255]."""
    total = sum(crops[some].sum(axis=0, dtype=np.int64) for some in np.array_split(rows, 1 + len(rows) // 4096))
    mean = np.asarray(total) / len(rows)
    return np.rint((mean - mean.min()) / max(float(np.ptp(mean)), 1.0) * 255).astype(np.uint8)


def note(found: Exploration, row: int | np.integer[Any]) -> str:
    """Return plain text that identifies a face."""
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
        f'<div class="card"><h3>Blank images <span class="faint">{len(found.blank):,}</span></h3>'
        f'<div class="strip">{shown}</div></div>'
        if len(found.blank)
        else ""
    )
    return (
        "<section><h2>Light</h2><p class=faint>Brightness is the mean gray level of a face, from 0 (black) to 255 "
        "(white); contrast is its standard deviation. The number is the median of the class; the line shows all "
        "faces.</p>"
        f'<div class="cards">{"".join(cards)}</div>{blank}</section>\n'
    )


def copies_section(found: Exploration, document: dict[str, Any], thumbnails: Thumbnails) -> str:
    """Return the section on duplicates as HTML; add the faces it shows to `thumbnails`."""
    same, near = document["identical"], document["near"]
    if not same["groups"] and not near["pairs"]:
        return "<section><h2>Duplicates</h2><p class=faint>No duplicates and no near copies found.</p></section>\n"
    summary = (
        f"Identical pixels: {same['faces']:,} faces in {_counted_noun(same['groups'], 'group')}. Near copies, the same "
        f"photograph with a different crop, brightness or compression: {_counted_noun(near['pairs'], 'pair')}, "
        f"{near['mirrored']:,} mirrored. Test faces that are copies of training faces make a network look "
        "more accurate than it is."
    )
    return (
        f"<section><h2>Duplicates</h2><p class=faint>{summary}</p>{_table(document)}"
        f"{_conflicting_labels(found, thumbnails)}{_near_copies(found, document, thumbnails)}</section>\n"
    )


def _counted_noun(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' if n != 1 else ''}"


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
    head = ["faces", "identical in the same part", "identical in another part"]
    head += ["marked as twins", "of these, copy not in the data"] if twins else []
    titles = "".join(f'<th class="number">{title}</th>' for title in head)
    return (
        f'<div class="scroll card"><table><thead><tr><th>part</th>{titles}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _conflicting_labels(found: Exploration, thumbnails: Thumbnails) -> str:
    if not (groups := different_labels(found)):
        return ""
    cards = []
    # Blank images come last: their labels do not matter.
    for rows in sorted(groups, key=lambda rows: found.contrast[rows[0]] < BLANK_BELOW)[:DUPLICATES]:
        sources = [found.data.faces.sources[row] for row in rows[:4]]
        face = thumbnails.face(found.data.faces.crops[rows[0]], ", ".join(sources) + ", …" * (len(rows) > 4))
        cards.append(f'<article class="twin">{face}<div>{_labels(found, rows)}</div></article>')
    return (
        f'<h3>Identical images with different labels <span class="faint">{len(groups):,}</span></h3>'
        f'<p class=faint>At least one label of each group is wrong.</p><div class="pairs single">{"".join(cards)}</div>'
    )


def _labels(found: Exploration, rows: npt.NDArray[np.integer[Any]]) -> str:
    """Return each label and part of some faces, with its count, as HTML."""
    classes = found.data.faces.classes
    shade_of = dict(zip(classes, class_shades(classes), strict=True))
    counts = Counter((record["label"], record["part"]) for record in (face_record(found, row) for row in rows))
    lines = []
    for (label, part), n in counts.items():
        times = f" ({n} faces)" if n > 1 else ""
        lines.append(f"<div>{mark(label, shade_of[label])} <small class=faint>{text(part)}{times}</small></div>")
    return "".join(lines)


def _near_copies(found: Exploration, document: dict[str, Any], thumbnails: Thumbnails) -> str:
    copies, part = found.copies, found.data.part
    if not len(copies.pairs):
        return ""
    one, other = copies.pairs.T
    across = np.flatnonzero(part[one] != part[other])
    chosen = across if len(across) else np.arange(len(copies.pairs))
    # Spread from the most to the least similar, so that the page shows what the threshold accepts.
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(DUPLICATES, len(chosen))).astype(np.int64)]
    cards = []
    for number in chosen:
        faces = "".join(
            thumbnails.face(found.data.faces.crops[row], found.data.faces.sources[row]) for row in copies.pairs[number]
        )
        how = f"{copies.similarity[number]:.3f}{', mirrored' if copies.mirrored[number] else ''}"
        cards.append(
            f'<article class="twin">{faces}<div>{_labels(found, copies.pairs[number])}'
            f"<small class=faint>{how}</small></div></article>"
        )
    where = "across parts" if len(across) else "within a part"
    return (
        f'<h3>Near copies {where} <span class="faint">{len(across) or len(copies.pairs):,}</span></h3>'
        f"<p class=faint>From most to least similar. A pair counts as near copies from a correlation of "
        f'{document["near"]["threshold"]} at the best shift.</p><div class="pairs">{"".join(cards)}</div>'
    )


def errors_section(found: Exploration, document: dict[str, Any], thumbnails: Thumbnails) -> str:
    """Return the section on label errors as HTML, empty if they were not searched; add its faces to `thumbnails`."""
    errors, judged = document["label_errors"], found.errors
    if errors is None or judged is None:
        return ""
    heading = f'<h2>Likely label errors <span class="faint">{errors["likely"]:,}</span></h2>'
    if not errors["judged"]:
        need = f"Finding label errors needs two classes with at least {MIN_FACES} faces each."
        return f"<section><h2>Likely label errors</h2><p class=faint>{need}</p></section>\n"
    paragraphs = "".join(f"<p class=faint>{line}</p>" for line in _explanation(errors))
    if not errors["list"]:
        return f"<section>{heading}{paragraphs}<p>No likely errors found.</p></section>\n"
    shown = errors["list"][:TOP]
    cards = "".join(
        _card(one, thumbnails.face(found.data.faces.crops[row], _face_note(one)), document)
        for one, row in zip(shown, judged.rows, strict=False)
    )
    chips = "".join(
        f'<button type="button" data-label="{text(name)}">{mark(name, shade)} {n}</button>'
        for name, shade in zip(document["classes"], class_shades(tuple(document["classes"])), strict=True)
        if (n := sum(one["label"] == name for one in shown))
    )
    return (
        f'<section>{heading}{paragraphs}<nav class="chips" aria-label="Label"><button type="button" data-label="" '
        f'aria-pressed="true">top {len(shown)}</button>{chips}</nav>'
        f'<div class="doubts">{cards}</div></section>\n'
    )


def _explanation(errors: dict[str, Any]) -> list[str]:
    """Return how the list was made and how reliable it is, a paragraph each."""
    lines = [
        f"A classifier fitted to the other faces is confident of another class (confident learning, {FOLDS} folds, "
        "copies in one fold). Check each suggestion yourself."
    ]
    learned, unseen = errors["agreement_learned"], errors["agreement_unseen"]
    if learned is not None:
        beside = f", and with {unseen:.0%} of those of the other faces" if unseen is not None else ""
        lines.append(
            f"The network was trained on {errors['learned']:,} of these faces and agrees with {learned:.0%} of their "
            f"labels{beside}. It has memorized the labels of its training faces, errors included, so some are "
            "missing here."
        )
    if (people := errors["people"]) is not None and people["asked"]:
        lines.append(
            f"Of the {people['asked']} likeliest errors, the annotators' majority chose the suggested expression for "
            f"{people['saw_suggested']}, the label for {people['saw_label']}, and something else or nothing for the "
            "others. The bar below a face shows the votes."
        )
    return lines


def _face_note(one: dict[str, Any]) -> str:
    votes = _counted(one["votes"])
    return f"{one['part']} · {one['source']}{f' · votes: {votes}' if votes else ''}"


def _counted(votes: dict[str, int]) -> str:
    return ", ".join(f"{canonical(name)} {n}" for name, n in votes.items())


def _card(one: dict[str, Any], face: str, document: dict[str, Any]) -> str:
    shade_of = dict(zip(document["classes"], class_shades(tuple(document["classes"])), strict=True))
    return (
        f'<article class="card doubt" data-label="{text(one["label"])}">{face}<div>'
        f"<dl><dt>label</dt><dd>{mark(one['label'], shade_of[one['label']])}</dd>"
        f"<dt>suggested</dt><dd><b>{mark(one['suggested'], shade_of[one['suggested']])}</b> "
        f"<small class=faint>{one['probability_suggested']:.0%}</small></dd></dl>"
        f"{_votes(one['votes'])}<small class='faint source'>{text(one['source'])}</small></div></article>"
    )


def _votes(votes: dict[str, int]) -> str:
    """Return the annotators' votes as a bar in the colors of their classes."""
    if not votes:
        return ""
    names = tuple(canonical(name) for name in votes)
    shades = [_NOBODY if name in ("unknown", "not-a-face") else shade
              for name, shade in zip(names, class_shades(names), strict=True)]  # fmt: skip
    parts = "".join(
        f'<i style="flex:{n};background:{shade}"></i>' for n, shade in zip(votes.values(), shades, strict=True)
    )
    words = text(_counted(votes))
    return f'<span class="votes" role="img" aria-label="votes: {words}" title="{words}">{parts}</span>'


def _unreadable(document: dict[str, Any]) -> str:
    if not (unreadable := document["unreadable"]):
        return ""
    rows = "".join(
        f"<tr><td>{text(one['part'])}</td><td class=path>{text(one['source'])}</td><td>{text(one['reason'])}</td></tr>"
        for one in unreadable[:UNREADABLE]
    )
    more = (
        f"<p class=faint>and {len(unreadable) - UNREADABLE:,} more in the JSON</p>"
        if len(unreadable) > UNREADABLE
        else ""
    )
    return (
        f'<section><h2>Unreadable images <span class="faint">{len(unreadable):,}</span></h2>'
        '<div class="scroll card"><table>'
        "<thead><tr><th>part</th><th>source</th><th>reason</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{more}</section>\n"
    )
