"""The timeline of a video that one can scrub, as a Streamlit component that moves the page's player."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import streamlit as st

from moodspace.classifier.palette import class_shades
from moodspace.viz.map.face_map import UNLABELED_SHADE
from moodspace.viz.report.data import Kept, TimeBins
from moodspace.viz.report.figures import clock, percent, plot, stacked_areas, strip
from moodspace.viz.report.sections import SELECTION, SHARES, TOOLS
from moodspace.viz.theme import mark
from moodspace.web.components.videos import FaceTrack, VideoAnalysis

_SCRIPT = Path(__file__).parents[1] / "static" / "scrub.js"
_REPORT = files("moodspace.viz.report")
_SHARED = files("moodspace.viz") / "theme.css"
# Expressions that never reach this share are not in the legend.
_VISIBLE = 0.02
_MAX_FACES = 12


def show_scrub(analysis: VideoAnalysis, *, player: str, single_faces: bool) -> None:
    """Show the timeline of a video.

    Args:
        analysis: The video's analysis.
        player: Key of the container of the page's player.
        single_faces: Whether to show each face too; ask for the consent of everyone in the video first.
    """
    show = st.components.v2.component("moodspace_scrub", html='<div class="scrub"></div>', css=_style(), js=_script())
    show(data=scrub_data(analysis, player=player, single_faces=single_faces), key="scrub")


@cache
def _style() -> str:
    # In a component the page's own tones apply, and rules for the root belong to the component.
    shared = _SHARED.read_text(encoding="utf-8").replace(":root", ":host")
    own = (_REPORT / "report.css").read_text(encoding="utf-8")
    return f"{shared}\n{own}\n.scrub > * + * {{ margin-top: var(--gap); }}"


@cache
def _script() -> str:
    return (_REPORT / "scrub.js").read_text(encoding="utf-8") + _SCRIPT.read_text(encoding="utf-8")


def scrub_data(analysis: VideoAnalysis, *, player: str, single_faces: bool) -> dict[str, Any]:
    """Return what `scrub.js` needs: the drawings as HTML, and the shares by bin; see `show_scrub`."""
    shares, names = analysis.shares, analysis.classes
    order = np.argsort(-np.nan_to_num(shares).sum(axis=0), kind="stable").tolist()
    shades = class_shades(names)
    bins = _bins(shares, analysis.seconds)
    drawing = stacked_areas(shares[:, order], [f'fill="{shades[at]}"' for at in order], 1.0)
    seen = [at for at in order if (np.nan_to_num(shares[:, at]) >= _VISIBLE).any()]
    legend = "".join(
        f'<li>{mark(names[at], shades[at])} <span class="faint">{percent(float(np.nanmean(shares[:, at])))}</span></li>'
        for at in seen
    )
    figure = plot(drawing, SHARES, analysis.seconds, bins, "Shares of the expressions over time.")
    html = f'<ul class="legend">{legend}</ul>{TOOLS}{figure}{SELECTION}'
    if single_faces:
        html += _faces(analysis, bins)
    return {
        "html": html.replace("Whole session", "Whole video").replace("the whole\nsession", "the whole video"),
        "player": player,
        "width": bins.width,
        "span": analysis.seconds,
        "names": [names[at] for at in order],
        "shades": [shades[at] for at in order],
        "reasons": {int(Kept.NO_FRAMES): "no face in view"},
        "recorded": "with a face",
        "kept": bins.kept.tolist(),
        "shares": np.rint(1000 * np.nan_to_num(shares[:, order])).astype(int).tolist(),
        "marks": [],
    }


def _bins(shares: npt.NDArray[np.float64], seconds: float) -> TimeBins:
    empty = np.isnan(shares).any(axis=1)
    nothing = np.zeros(len(shares), np.float32)
    kept = np.where(empty, Kept.NO_FRAMES, Kept.SHARES).astype(np.int64)
    seconds_shown = np.asarray(~empty, np.int64)
    width = seconds / len(shares)
    return TimeBins(width, kept, shares.astype(np.float32), nothing, nothing, nothing, seconds_shown)


def _faces(analysis: VideoAnalysis, bins: TimeBins) -> str:
    """Return a strip for each face, longest in view first."""
    fills = [f'fill="{shade}"' for shade in (*class_shades(analysis.classes), UNLABELED_SHADE)]
    tracks = sorted(analysis.tracks, key=lambda track: -len(track.times))
    rows = "".join(
        f'<tr><th>face {track.number}</th><td class="number">{clock(_in_view(track, analysis))}</td>'
        f"<td>{strip(_shown(track, bins), fills)}</td></tr>"
        for track in sorted(tracks[:_MAX_FACES], key=lambda track: track.number)
    )
    rest = len(tracks) - _MAX_FACES
    more = f" Not listed: {rest} visible for a shorter time." if rest > 0 else ""
    return (
        '<section><h3>Single faces</h3><p class="faint">A number identifies a face while it was tracked, not a person. '
        f"Dark gray: unsure. Empty: not visible.{more}</p>"
        '<table class="strips"><tr><th></th><th class="number">Visible</th>'
        f"<th>Expression shown</th></tr>{rows}</table></section>"
    )


def _in_view(track: FaceTrack, analysis: VideoAnalysis) -> float:
    return analysis.seconds * len(track.times) / max(analysis.frames, 1)


def _shown(track: FaceTrack, bins: TimeBins) -> npt.NDArray[np.int64]:
    """Return the column of the last expression shown in each bin, -1 for unsure, -2 for none."""
    shown = np.full(len(bins.kept), -2, np.int64)
    at = np.minimum((np.array(track.times) / bins.width).astype(np.int64), len(shown) - 1)
    shown[at] = track.shown
    return shown
