"""The sections of a report, from top to bottom, each as HTML."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from moodspace.classifier.palette import class_shades
from moodspace.sessions import Session
from moodspace.viz.map.face_map import UNLABELED_SHADE
from moodspace.viz.report.changes import DEVIATIONS, MIN_DIFFERENCE, WINDOW_S, Change
from moodspace.viz.report.data import Kept, TimeBins, bin_session, seconds_kept
from moodspace.viz.report.figures import (
    bar,
    clock,
    event_lines,
    gap_overlays,
    moment_line,
    percent,
    plot,
    stacked_areas,
    strip,
)
from moodspace.viz.theme import mark, text

NOTICE = (
    "This report shows facial expressions as a network classified them, not what anybody felt or meant. The network "
    "is often wrong, and a smile does not have to mean joy. In the European Union, Article 5(1)(f) of the AI Act "
    "prohibits inferring the emotions of people at work and in education, except for medical or safety reasons."
)

SHARES = ((0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %"))
# Possible seconds per row of the table, and the maximum number of rows.
_TABLE_WIDTHS, _MAX_ROWS = (60, 120, 300, 600, 900, 1800, 3600, 14400, 86400), 60
_MAX_FACES = 24
# Maximum numbers of events that are drawn and listed.
_MAX_LINES, _MAX_EVENTS = 500, 100
# Seconds before and after an event that its row compares.
_AROUND_S = 5
# Minimum change of a share to be listed.
_MIN_CHANGE = 0.03


def reasons(session: Session) -> dict[Kept, str]:
    """Return why nothing was recorded, in words."""
    n = session.min_group
    return {
        Kept.TOO_FEW: f"fewer than {n} faces visible",
        Kept.TOO_FEW_READABLE: f"{n} or more faces visible, fewer than {n} readable",
        Kept.NO_FRAMES: "no frames received",
    }


def key_figures(session: Session, changes: Sequence[Change]) -> str:
    """Return the key figures of a session."""
    group, recorded = session.group, session.group.recorded
    figures = {
        "duration": clock(session.length),
        "of the time recorded": percent(seconds_kept(session)[Kept.SHARES] / session.length),
    }
    if recorded.any():
        share = group.proba[recorded].mean(axis=0)
        best, faces = int(share.argmax()), group.faces[recorded]
        figures["visible faces (median)"] = f"{np.median(faces):.0f}"
        shown = mark(session.classes[best], class_shades(session.classes)[best])
        figures[f"most frequent expression, {percent(float(share[best]))} on average"] = shown
        figures["of readable faces unsure"] = percent(
            float(group.unsure[recorded].sum() / group.readable[recorded].sum())
        )
        figures["moment of change" if len(changes) == 1 else "moments of change"] = str(len(changes))
    return (
        f'<dl class="figures">{"".join(f"<div><dt>{name}</dt><dd>{v}</dd></div>" for name, v in figures.items())}</dl>'
    )


# What `scrub.js` needs besides the drawings; hidden until it runs.
TOOLS = """
<div class="tools" hidden><button type="button" data-do="zoom-in">Zoom in</button>
<button type="button" data-do="zoom-out">Zoom out</button>
<button type="button" data-do="zoom-all">Whole session</button>
<details class="keys faint"><summary>Point at a second; drag to select a span</summary><p>With the keyboard, focus the
drawing: arrow keys move by a second and page keys by ten, with Shift they select; + and - zoom, 0 shows the whole
session, Enter zooms to the span; n and p go to the next and previous event; Space plays; Escape clears.</p>
</details></div>
"""
SELECTION = """
<div class="selection card" hidden><div class="tools"><p class="facts" role="status"></p>
<button type="button" data-do="zoom-span">Zoom to it</button>
<button type="button" data-do="clear-span">Clear</button></div>
<div class="scroll"><table class="dense"><thead><tr><th>Expression</th><th></th><th class="number">In the span</th>
<th class="number">Whole session</th><th class="number">Points</th></tr></thead><tbody></tbody></table></div></div>
"""


def timeline(
    session: Session, bins: TimeBins, changes: Sequence[Change], *, tools: bool = False, beside: str = ""
) -> str:
    """Return the section with the group's shares over time, the events and the moments of change.

    Args:
        session: The session.
        bins: The bins of the drawing.
        changes: The moments of change.
        tools: Whether to add the controls of `scrub.js`.
        beside: The player of a recording beside the session, as HTML.
    """
    shades, order = class_shades(session.classes), shown_order(session)
    fills = [f'fill="{shades[column]}"' for column in order]
    lines = "".join(moment_line(number, change.second, bins) for number, change in enumerate(changes, 1))
    lines += event_lines(session.marks[:_MAX_LINES], bins)
    drawing = stacked_areas(bins.proba[:, order], fills, 1.0) + gap_overlays(bins, reasons(session)) + lines
    share = np.zeros(len(shades)) if not session.group.recorded.any() else np.nanmean(session.group.proba, axis=0)
    legend = "".join(
        f'<li>{mark(session.classes[at], shades[at])} <span class="faint">{percent(float(share[at]))}</span></li>'
        for at in reversed(order)
    )
    words = "Shares of the group's expressions over time; the table below lists them as numbers."
    return (
        "<section id=timeline><h2>Group expressions over time</h2>"
        f'<p class="faint">Mean over all readable faces, per second. {_resolution(bins)}Hatched: not recorded.</p>'
        f'{beside}<ul class="legend">{legend}</ul>{TOOLS if tools else ""}'
        f"{plot(drawing, SHARES, session.length, bins, words)}{SELECTION if tools else ''}</section>"
    )


def events(session: Session) -> str:
    """Return the section that lists the marked events, with the shares before and after them; empty without any."""
    if not session.marks:
        return ""
    epochs = session.epochs(-_AROUND_S, _AROUND_S).columns
    before, after = (
        np.array(epochs[name], np.float64).reshape(len(session.marks), -1) for name in ("baseline", "mean")
    )
    rows = "".join(
        f'<tr><td class="number" data-second="{mark.time:.3f}">{clock(mark.time)}</td><td>{text(mark.name)}</td>'
        f'<td class="faint">{text(mark.source)}</td><td>{_changed(session, before[row], after[row])}</td></tr>'
        for row, mark in enumerate(session.marks[:_MAX_EVENTS])
    )
    rest = len(session.marks) - _MAX_EVENTS
    more = f'<p class="faint">And {rest:,} more; export them as a table.</p>' if rest > 0 else ""
    return (
        f"<section id=events><h2>Events</h2>"
        f'<p class="faint">Mean shares in the {_AROUND_S} seconds before and after each event.</p>'
        f'<div class="scroll"><table class="narrow"><tr><th class="number">Time</th><th>Event</th><th>Marked in</th>'
        f"<th>Before and after</th></tr>{rows}</table></div>{more}</section>"
    )


def moments(session: Session, changes: Sequence[Change]) -> str:
    """Return the section that lists the moments of change and explains the rule."""
    rule = (
        f"Rule: the mean shares of the {WINDOW_S} seconds after a moment of change differ from those of the {WINDOW_S} "
        f"seconds before by at least {100 * MIN_DIFFERENCE:.0f} points in total, by more than at any other second "
        f"within {WINDOW_S} seconds, and by more than the session's median plus {DEVIATIONS} median absolute "
        "deviations. The rule shows when something changed, not why."
    )
    rows = "".join(
        f'<tr><td class="number">{number}</td><td class="number" data-second="{change.second}">{clock(change.second)}'
        f"</td><td>{_changed(session, change.before, change.after)}</td></tr>"
        for number, change in enumerate(changes, 1)
    )
    table = (
        f'<table class="narrow"><tr><th class="number">No.</th><th class="number">Time</th><th>Mean shares before and '
        f"after</th></tr>{rows}</table>"
    )
    return (
        f"<section id=moments><h2>Moments of change</h2>{table if changes else '<p>None.</p>'}"
        f'<p class="faint small">{rule}</p></section>'
    )


def by_minute(session: Session) -> str:
    """Return the shares as a table with a row per minute; longer sessions have longer rows."""
    width = next((w for w in _TABLE_WIDTHS if session.length / w <= _MAX_ROWS), _TABLE_WIDTHS[-1])
    bins, order, shades = bin_session(session, width), shown_order(session), class_shades(session.classes)
    reason_of = reasons(session)
    names = "".join(f'<th class="number">{mark(session.classes[at], shades[at])}</th>' for at in order)
    rows = []
    for row, kept in enumerate(bins.kept):
        start = f"<tr><th>{clock(row * width)}</th>"
        if kept != Kept.SHARES:
            rows.append(f'{start}<td colspan="{len(order) + 3}" class="faint">{reason_of[Kept(kept)]}</td></tr>')
            continue
        numbers = "".join(f'<td class="number">{percent(float(bins.proba[row, at]))}</td>' for at in order)
        shares = bar(bins.proba[row, order], [shades[at] for at in order])
        seconds = f'<td class="number">{bins.seconds[row]} s</td><td class="number">{bins.faces[row]:.1f}</td>'
        rows.append(f"{start}{seconds}<td>{shares}</td>{numbers}</tr>")
    unit = "minute" if width == 60 else f"{width // 60} minutes"
    return (
        f'<section id=minutes><h2>By {unit}</h2><div class="scroll"><table class="dense"><tr><th>From</th>'
        f'<th class="number">Recorded</th><th class="number">Faces</th><th>Shares</th>{names}</tr>{"".join(rows)}'
        "</table></div></section>"
    )


def change_from_baseline(session: Session) -> str:
    """Return the section with the mean change from the faces' resting faces; empty if no baseline was used."""
    shades, order = class_shades(session.classes), shown_order(session)
    rows = []
    if (recorded := ~np.isnan(session.group.change).any(axis=1)).any():
        rows.append(("group", session.group.proba[recorded], session.group.change[recorded]))
    faces = session.faces
    with_one = ~np.isnan(faces.change).any(axis=1)
    ids, counts = np.unique(faces.track_ids[with_one], return_counts=True)
    for at in sorted(np.argsort(-counts, kind="stable")[:_MAX_FACES]):
        chosen = with_one & (faces.track_ids == ids[at])
        rows.append((f"face {ids[at]}", faces.proba[chosen], faces.change[chosen]))
    if not rows:
        return ""
    names = "".join(f'<th class="number">{mark(session.classes[at], shades[at])}</th>' for at in order)
    body = "".join(
        f'<tr><th>{who}</th><td class="number">{clock(len(change))}</td>'
        + "".join(
            f'<td class="number">{percent(float(share[:, at].mean()))} '
            f'<span class="faint">{100 * float(change[:, at].mean()):+.0f}</span></td>'
            for at in order
        )
        + "</tr>"
        for who, share, change in rows
    )
    return (
        '<section id=baseline><h2>Change from baseline</h2><p class="faint">Mean shares and, in points, their '
        "difference from what the same faces are read as at rest, over the seconds with a baseline.</p>"
        f'<div class="scroll"><table class="dense"><tr><th></th><th class="number">Time</th>{names}</tr>{body}'
        "</table></div></section>"
    )


def certainty(session: Session, bins: TimeBins) -> str:
    """Return the section on the number of faces, and how many were readable and confident."""
    group, recorded = session.group, session.group.recorded
    if not recorded.any():
        return ""
    top = most_faces(session)
    layers = np.column_stack([bins.readable - bins.unsure, bins.unsure, bins.faces - bins.readable])
    names = ("sure", "unsure", "unreadable")
    drawing = stacked_areas(layers, [f'class="{name}"' for name in names], top) + gap_overlays(bins, reasons(session))
    drawing += event_lines(session.marks[:_MAX_LINES], bins, named=False)
    faces, readable, unsure = (float(values[recorded].sum()) for values in (group.faces, group.readable, group.unsure))
    shares = ((readable - unsure) / faces, unsure / faces, 1 - readable / faces)
    words = ("confident", "unsure: no clear expression", "unreadable: too small, blurred or turned away")
    legend = "".join(
        f'<li><i class="key {name}"></i>{word} <span class="faint">{percent(share)}</span></li>'
        for name, word, share in zip(names, words, shares, strict=True)
    )
    levels = ((0.0, "0"), (1.0, f"{top:.0f}"))
    label = "Number of faces over time: confident, unsure and unreadable."
    return (
        "<section id=certainty><h2>Number of faces and confidence</h2>"
        '<p class="faint">The shares include unsure faces, but not unreadable ones.</p>'
        f'<ul class="legend">{legend}</ul>{plot(drawing, levels, session.length, bins, label, "counts")}</section>'
    )


def most_faces(session: Session) -> float:
    """Return the largest number of faces in view, at least 1."""
    return float(max(1, session.group.faces[session.group.recorded].max(initial=1)))


def single_faces(session: Session, bins: TimeBins) -> str:
    """Return the section with the expressions of single faces, longest in view first; empty if not recorded."""
    faces, shades = session.faces, class_shades(session.classes)
    if not session.individuals:
        return ""
    fills = [f'fill="{shade}"' for shade in (*shades, UNLABELED_SHADE)]
    ids, counts = np.unique(faces.track_ids, return_counts=True)
    rows = []
    for at in sorted(np.argsort(-counts, kind="stable")[:_MAX_FACES]):
        rows_of = np.flatnonzero(faces.track_ids == ids[at])
        shown = np.full(len(bins.kept), -2, np.int64)
        shown[faces.second[rows_of] // bins.width] = faces.shown[rows_of]
        drawing = strip(shown, fills)
        rows.append(f'<tr><th>face {ids[at]}</th><td class="number">{clock(counts[at])}</td><td>{drawing}</td></tr>')
    rest = len(ids) - len(rows)
    more = f" Not listed: {rest} visible for a shorter time." if rest > 0 else ""
    return (
        '<section id=faces><h2>Single faces</h2><p class="faint">Recorded on request. A number identifies a face while '
        "it was tracked, not a person. Dark gray: unsure. Empty: not visible."
        f'{more}</p><table class="strips"><tr><th></th><th class="number">Visible</th>'
        f"<th>Expression shown</th></tr>{''.join(rows)}</table></section>"
    )


def not_recorded(session: Session) -> str:
    """Return the section on what was not recorded, and why."""
    seconds, reason_of = seconds_kept(session), reasons(session)
    rows = "".join(
        f'<tr><td>{reason_of[kept].capitalize()}</td><td class="number">{clock(seconds[kept])}</td>'
        f'<td class="number">{percent(seconds[kept] / session.length)}</td></tr>'
        for kept in reason_of
        if seconds[kept] >= 1
    )
    head = '<tr><th>Reason</th><th class="number">Time</th><th class="number">Share</th></tr>'
    whole = "<p>The group was recorded all the time.</p>"
    table = f'<table class="narrow">{head}{rows}</table>' if rows else whole
    gaps = "".join(f"<li>{_time_range(start, stop)}: {text(reason)}</li>" for start, stop, reason in session.gaps)
    faces = "were recorded, identified by numbers." if session.individuals else "were not recorded."
    kept = "No images, face crops or embeddings were stored."
    if session.keeps_video:
        kept = "An annotated video that shows the faces was stored with the session; no embeddings were stored."
    return (
        f"<section id=left-out><h2>Not recorded</h2>{table}"
        f"{f'<h3>Interruptions</h3><ul>{gaps}</ul>' if gaps else ''}"
        f"<p>Single faces {faces} {kept}</p>"
        f"{''.join(f'<p class=alert>{text(sentence)}</p>' for sentence in session.missing)}</section>"
    )


def shown_order(session: Session) -> list[int]:
    """Return the columns of the classes, largest share first."""
    recorded = session.group.proba[session.group.recorded]
    return np.argsort(-recorded.sum(axis=0), kind="stable").tolist()


def _changed(session: Session, before: npt.NDArray[np.floating], after: npt.NDArray[np.floating]) -> str:
    """Return the shares that changed most, before and after, as HTML."""
    shades, by = class_shades(session.classes), after - before
    if np.isnan(by).all():
        return '<span class="faint">not recorded</span>'
    listed = [at for at in np.argsort(-np.abs(by), kind="stable") if abs(by[at]) >= _MIN_CHANGE]
    if not listed:
        return '<span class="faint">no change</span>'
    return ", ".join(
        f'<span class="change">{mark(session.classes[at], shades[at])} '
        f"{percent(float(before[at]))} → {percent(float(after[at]))}</span>"
        for at in listed[:4]
    )


def _resolution(bins: TimeBins) -> str:
    return "" if bins.width == 1 else f"Each point is the mean over {bins.width} seconds. "


def _time_range(start: float, stop: float) -> str:
    return f"{clock(start)} to {clock(stop)}" if int(stop) > int(start) else clock(start)
