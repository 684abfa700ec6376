"""The section about labels that are likely wrong."""

from typing import Any

from embeddings.labels import canonical
from viz.explore import Exploration
from viz.explore_document import TOP
from viz.label_errors import FOLDS, LEAST
from viz.theme import class_shades, mark, text
from viz.thumbnails import Thumbnails

_NOBODY = "#b9bcc2"  # votes for no face, or for nothing known


def errors_section(found: Exploration, document: dict[str, Any], thumbnails: Thumbnails) -> str:
    """Returns the section as HTML, none where nobody asked, and adds the faces that it shows to `thumbnails`."""
    errors, judged = document["label_errors"], found.errors
    if errors is None or judged is None:
        return ""
    heading = f'<h2>Labels likely wrong <span class="faint">{errors["likely"]:,}</span></h2>'
    if not errors["judged"]:
        need = f"To judge labels takes two classes with at least {LEAST} faces each."
        return f"<section><h2>Labels likely wrong</h2><p class=faint>{need}</p></section>\n"
    told = "".join(f"<p class=faint>{line}</p>" for line in _words(errors))
    if not errors["list"]:
        return f"<section>{heading}{told}<p>No label stands out.</p></section>\n"
    shown = errors["list"][:TOP]
    cards = "".join(
        _card(one, thumbnails.face(found.data.faces.crops[row], _note(one)), document)
        for one, row in zip(shown, judged.rows, strict=False)
    )
    chips = "".join(
        f'<button type="button" data-label="{text(name)}">{mark(name, shade)} {n}</button>'
        for name, shade in zip(document["classes"], class_shades(tuple(document["classes"])), strict=True)
        if (n := sum(one["label"] == name for one in shown))
    )
    return (
        f'<section>{heading}{told}<nav class="chips" aria-label="Labelled"><button type="button" data-label="" '
        f'aria-pressed="true">the {len(shown)} likeliest</button>{chips}</nav>'
        f'<div class="doubts">{cards}</div></section>\n'
    )


def _words(errors: dict[str, Any]) -> list[str]:
    """Says how the list came about and how far it can be trusted."""
    lines = [
        f"A classifier fitted to the other faces is sure of another class (confident learning, {FOLDS} folds, copies "
        "kept together). A suggestion to look, not a verdict."
    ]
    learned, unseen = errors["agreement_learned"], errors["agreement_unseen"]
    if learned is not None:
        beside = f", against {unseen:.0%} of those that it never saw" if unseen is not None else ""
        lines.append(
            f"The network was trained on {errors['learned']:,} of these faces and agrees with {learned:.0%} of their "
            f"labels{beside}: it has learned them by heart, wrong ones too, so more are wrong than show here."
        )
    if (people := errors["people"]) is not None and people["asked"]:
        lines.append(
            f"People who voted on the {people['asked']} likeliest mostly saw the suggested expression in "
            f"{people['saw_suggested']}, the label in {people['saw_label']}, and in the others something else or "
            "no agreement. The strip below a face is their votes."
        )
    return lines


def _note(one: dict[str, Any]) -> str:
    votes = _counted(one["votes"])
    return f"{one['part']} · {one['source']}{f' · votes: {votes}' if votes else ''}"


def _counted(votes: dict[str, int]) -> str:
    return ", ".join(f"{canonical(name)} {n}" for name, n in votes.items())


def _card(one: dict[str, Any], face: str, document: dict[str, Any]) -> str:
    shade_of = dict(zip(document["classes"], class_shades(tuple(document["classes"])), strict=True))
    return (
        f'<article class="card doubt" data-label="{text(one["label"])}">{face}<div>'
        f"<dl><dt>labelled</dt><dd>{mark(one['label'], shade_of[one['label']])}</dd>"
        f"<dt>suggested</dt><dd><b>{mark(one['suggested'], shade_of[one['suggested']])}</b> "
        f"<small class=faint>{one['probability_suggested']:.0%}</small></dd></dl>"
        f"{_votes(one['votes'])}<small class='faint source'>{text(one['source'])}</small></div></article>"
    )


def _votes(votes: dict[str, int]) -> str:
    """A strip with as many parts as people voted, in the colours of what they saw."""
    if not votes:
        return ""
    names = tuple(canonical(name) for name in votes)
    shades = [_NOBODY if name in ("unknown", "not-a-face") else shade
              for name, shade in zip(names, class_shades(names), strict=True)]  # fmt: skip
    parts = "".join(
        f'<i style="flex:{n};background:{shade}"></i>' for n, shade in zip(votes.values(), shades, strict=True)
    )
    told = text(_counted(votes))
    return f'<span class="votes" role="img" aria-label="votes: {told}" title="{told}">{parts}</span>'
