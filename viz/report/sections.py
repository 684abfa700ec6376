"""The parts of a session's report, from top to bottom, each as HTML."""

from collections.abc import Sequence

import numpy as np

from moodspace.classifier.palette import class_shades
from moodspace.viz.map.face_map import UNLABELLED_SHADE
from moodspace.viz.report.changes import DEVIATIONS, LEAST, WINDOW_S, Change
from moodspace.viz.report.data import Kept, Report, Stretches, seconds_kept, stretches
from moodspace.viz.report.figures import bar, clock, moment, percent, plot, stacked, strip, voids
from moodspace.viz.theme import mark, text

NOTICE = (
    "These are the expressions that faces showed, as a network read them; not what anybody felt or meant. The network "
    "errs often, and a smile need not be joy. In the European Union, Article 5(1)(f) of the AI Act prohibits inferring "
    "emotions of people at workplaces and in schools, other than for medical or safety reasons."
)

_SHARES = ((0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %"))
# Seconds that a row of the table stands for, and how many rows are enough.
_TABLE_WIDTHS, _MOST_ROWS = (60, 120, 300, 600, 900, 1800, 3600, 14400, 86400), 60
_MOST_FACES = 24
# Points of a share that are worth telling of a moment of change.
_TOLD = 0.03


def reasons(report: Report) -> dict[Kept, str]:
    """Why nothing was kept of a time, in words."""
    n = report.min_group
    return {
        Kept.TOO_FEW: f"fewer than {n} faces in view",
        Kept.TOO_FEW_READABLE: f"{n} faces or more in view, fewer than {n} of them readable",
        Kept.NO_FRAMES: "no frames came",
    }


def key_figures(report: Report, found: Sequence[Change]) -> str:
    """What a reader wants to know first."""
    group, told = report.group, report.group.recorded
    figures = {
        "duration": clock(report.length),
        "of the time recorded": percent(seconds_kept(report)[Kept.SHARES] / report.length),
    }
    if told.any():
        share = group.proba[told].mean(axis=0)
        best, faces = int(share.argmax()), group.faces[told]
        figures["faces in view, median"] = f"{np.median(faces):.0f}"
        shown = mark(report.classes[best], class_shades(report.classes)[best])
        figures[f"shown most, {percent(float(share[best]))} of the group's shares"] = shown
        figures["of readable faces unsure"] = percent(float(group.unsure[told].sum() / group.readable[told].sum()))
        figures["moment of change" if len(found) == 1 else "moments of change"] = str(len(found))
    return (
        f'<dl class="figures">{"".join(f"<div><dt>{name}</dt><dd>{v}</dd></div>" for name, v in figures.items())}</dl>'
    )


def timeline(report: Report, cut: Stretches, found: Sequence[Change]) -> str:
    """The group's shares over time, the most shown at the bottom, with the moments of change."""
    shades, order = class_shades(report.classes), shown_order(report)
    fills = [f'fill="{shades[column]}"' for column in order]
    lines = "".join(moment(number, change.second, cut) for number, change in enumerate(found, 1))
    drawing = stacked(cut.proba[:, order], fills, 1.0) + voids(cut, reasons(report)) + lines
    share = np.zeros(len(shades)) if not report.group.recorded.any() else np.nanmean(report.group.proba, axis=0)
    legend = "".join(
        f'<li>{mark(report.classes[at], shades[at])} <span class="faint">{percent(float(share[at]))}</span></li>'
        for at in reversed(order)
    )
    words = "Shares of the expressions that the group showed, over time; the table below has them as numbers."
    return (
        "<section id=timeline><h2>What the group showed</h2>"
        f'<p class="faint">Each second is the mean over the readable faces. {_resolution(cut)} Hatched: not kept.</p>'
        f'<ul class="legend">{legend}</ul>{plot(drawing, _SHARES, report.length, cut, words)}</section>'
    )


def moments(report: Report, found: Sequence[Change]) -> str:
    """The moments of change in words, with the rule that found them."""
    rule = (
        f"A moment of change is a second at which the mean shares of the {WINDOW_S} seconds from then on differ from "
        f"those of the {WINDOW_S} seconds before by {100 * LEAST:.0f} points or more in all, by more than at any other "
        f"second within {WINDOW_S}, and by more than is usual in this session (the median and {DEVIATIONS} times the "
        "median deviation from it). It says when, not why."
    )
    rows = "".join(
        f'<tr><td class="number">{number}</td><td class="number">{clock(change.second)}</td>'
        f"<td>{_told(report, change)}</td></tr>"
        for number, change in enumerate(found, 1)
    )
    table = (
        f'<table class="narrow"><tr><th class="number">No.</th><th class="number">At</th><th>Mean shares before and '
        f"after</th></tr>{rows}</table>"
    )
    return (
        f"<section id=moments><h2>Moments of change</h2>{table if found else '<p>None.</p>'}"
        f'<p class="faint small">{rule}</p></section>'
    )


def by_minute(report: Report) -> str:
    """The shares as numbers, a row a minute; longer sessions have longer rows."""
    width = next((w for w in _TABLE_WIDTHS if report.length / w <= _MOST_ROWS), _TABLE_WIDTHS[-1])
    cut, order, shades = stretches(report, width), shown_order(report), class_shades(report.classes)
    said = reasons(report)
    names = "".join(f'<th class="number">{mark(report.classes[at], shades[at])}</th>' for at in order)
    rows = []
    for row, kept in enumerate(cut.kept):
        start = f"<tr><th>{clock(row * width)}</th>"
        if kept != Kept.SHARES:
            rows.append(f'{start}<td colspan="{len(order) + 3}" class="faint">{said[Kept(kept)]}</td></tr>')
            continue
        numbers = "".join(f'<td class="number">{percent(float(cut.proba[row, at]))}</td>' for at in order)
        shares = bar(cut.proba[row, order], [shades[at] for at in order])
        seconds = f'<td class="number">{cut.seconds[row]} s</td><td class="number">{cut.faces[row]:.1f}</td>'
        rows.append(f"{start}{seconds}<td>{shares}</td>{numbers}</tr>")
    unit = "minute" if width == 60 else f"{width // 60} minutes"
    return (
        f'<section id=minutes><h2>By {unit}</h2><div class="scroll"><table class="dense"><tr><th>From</th>'
        f'<th class="number">Recorded</th><th class="number">Faces</th><th>Shares</th>{names}</tr>{"".join(rows)}'
        "</table></div></section>"
    )


def certainty(report: Report, cut: Stretches) -> str:
    """How many faces there were, and of how many something could be said."""
    group, told = report.group, report.group.recorded
    if not told.any():
        return ""
    top = float(max(1, group.faces[told].max()))
    layers = np.column_stack([cut.readable - cut.unsure, cut.unsure, cut.faces - cut.readable])
    names = ("sure", "unsure", "unreadable")
    drawing = stacked(layers, [f'class="{name}"' for name in names], top) + voids(cut, reasons(report))
    faces, readable, unsure = (float(values[told].sum()) for values in (group.faces, group.readable, group.unsure))
    shares = ((readable - unsure) / faces, unsure / faces, 1 - readable / faces)
    words = ("sure", "unsure: no expression was clear", "unreadable: too small, blurred or turned away")
    legend = "".join(
        f'<li><i class="key {name}"></i>{word} <span class="faint">{percent(share)}</span></li>'
        for name, word, share in zip(names, words, shares, strict=True)
    )
    levels = ((0.0, "0"), (1.0, f"{top:.0f}"))
    label = "Number of faces over time: sure, unsure and unreadable ones."
    return (
        "<section id=certainty><h2>How many faces, and how sure</h2>"
        '<p class="faint">Unreadable faces are not in the shares; unsure ones are, with all their doubt.</p>'
        f'<ul class="legend">{legend}</ul>{plot(drawing, levels, report.length, cut, label)}</section>'
    )


def single_faces(report: Report, cut: Stretches) -> str:
    """What each face showed, where that was recorded; those longest in view."""
    faces, shades = report.faces, class_shades(report.classes)
    if not report.individuals:
        return ""
    fills = [f'fill="{shade}"' for shade in (*shades, UNLABELLED_SHADE)]
    ids, counts = np.unique(faces.track_ids, return_counts=True)
    rows = []
    for at in sorted(np.argsort(-counts, kind="stable")[:_MOST_FACES]):
        drawing = strip(faces, np.flatnonzero(faces.track_ids == ids[at]), cut, fills)
        rows.append(f'<tr><th>face {ids[at]}</th><td class="number">{clock(counts[at])}</td><td>{drawing}</td></tr>')
    rest = len(ids) - len(rows)
    more = f" {rest} more were in view for a shorter time." if rest > 0 else ""
    return (
        '<section id=faces><h2>Single faces</h2><p class="faint">Recorded because that was asked for. A number is that '
        "of a face for as long as it could be followed, not of a person. Dark grey is unsure, empty is out of view."
        f'{more}</p><table class="strips"><tr><th></th><th class="number">In view</th>'
        f"<th>Expression shown</th></tr>{''.join(rows)}</table></section>"
    )


def not_recorded(report: Report) -> str:
    """What is not in the session, and why."""
    seconds, said = seconds_kept(report), reasons(report)
    rows = "".join(
        f'<tr><td>{said[kept].capitalize()}</td><td class="number">{clock(seconds[kept])}</td>'
        f'<td class="number">{percent(seconds[kept] / report.length)}</td></tr>'
        for kept in said
        if seconds[kept] >= 1
    )
    head = '<tr><th>Nothing of the group, because</th><th class="number">Time</th><th class="number">Share</th></tr>'
    whole = "<p>The group was recorded from beginning to end.</p>"
    table = f'<table class="narrow">{head}{rows}</table>' if rows else whole
    gaps = "".join(f"<li>{_time_of(start, stop)}: {text(reason)}</li>" for start, stop, reason in report.gaps)
    faces = "were recorded too, by their numbers." if report.individuals else "were not recorded; nobody asked for it."
    kept = "No picture, no crop of a face and no embedding was kept."
    if report.keeps_video:
        kept = "An annotated video was kept beside the session, with the faces in it; no embedding was."
    return (
        f"<section id=left-out><h2>What was not recorded, and why</h2>{table}"
        f"{f'<h3>Interruptions</h3><ul>{gaps}</ul>' if gaps else ''}"
        f"<p>Single faces {faces} {kept}</p>"
        f"{''.join(f'<p class=alert>{text(sentence)}</p>' for sentence in report.missing)}</section>"
    )


def shown_order(report: Report) -> list[int]:
    """The classes' columns, the most shown first."""
    told = report.group.proba[report.group.recorded]
    return np.argsort(-told.sum(axis=0), kind="stable").tolist()


def _told(report: Report, change: Change) -> str:
    shades, by = class_shades(report.classes), change.after - change.before
    told = [at for at in np.argsort(-np.abs(by), kind="stable") if abs(by[at]) >= _TOLD]
    return ", ".join(
        f'<span class="told">{mark(report.classes[at], shades[at])} '
        f"{percent(float(change.before[at]))} → {percent(float(change.after[at]))}</span>"
        for at in told[:4]
    )


def _resolution(cut: Stretches) -> str:
    return "" if cut.width == 1 else f"Drawn are means over {cut.width} seconds."


def _time_of(start: float, stop: float) -> str:
    return f"{clock(start)} to {clock(stop)}" if int(stop) > int(start) else clock(start)
