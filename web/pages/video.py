"""Video: an uploaded clip analyzed frame by frame, with a timeline and results to download."""

import logging

import streamlit as st

from moodspace.viz.report.figures import clock
from moodspace.web.components.face_cards import notice
from moodspace.web.components.results import named_after
from moodspace.web.components.scrub import show_scrub
from moodspace.web.components.theme import heading, html
from moodspace.web.components.videos import VideoAnalysis, VideoError, analyze_video
from moodspace.web.server.settings import current_settings
from moodspace.web.server.visitors import this_visitor

logger = logging.getLogger(__name__)

_RESULT_KEY = "watched"
# Key of the container with the player.
_PLAYER = "player"


def _analyze(name: str, content: bytes) -> VideoAnalysis | VideoError:
    """Analyze a video and show the progress; the button, or leaving the page, interrupts this run."""
    visitor = this_visitor()
    label = f"Analyzing {name}"
    with st.container(horizontal=True, vertical_alignment="center"):
        bar = st.progress(0.0, label)
        st.button("Cancel", on_click=_forget_upload)

    def progress(done: float, seconds: float) -> None:
        share = min(done / seconds, 1.0) if seconds else 0.0
        bar.progress(share, f"{label}: {clock(done)}" + (f" of {clock(seconds)}" if seconds else ""))

    try:
        return analyze_video(
            name,
            content,
            lambda frame: visitor.engine.recognize(visitor.recognizer, frame, video=True),
            visitor.recognizer,
            current_settings().limits,
            progress,
        )
    except VideoError as error:
        return error
    except Exception:
        logger.exception("a video could not be analyzed")
        return VideoError("this video could not be analyzed; save it as MP4 and try again")


def _forget_upload() -> None:
    """Empty the file chooser by giving the next one another key."""
    st.session_state["video upload"] = st.session_state.get("video upload", 0) + 1


def _show(analysis: VideoAnalysis) -> None:
    if analysis.incomplete:
        html(notice(analysis.incomplete, f"{analysis.name}:"))
    with st.container(key=_PLAYER):
        st.video(analysis.clip)
    stem = named_after(analysis.name, "")
    with st.container(horizontal=True):
        for kind, content, name in (
            ("MP4", analysis.clip, f"{stem}-annotated.mp4"),
            ("JSON", analysis.json, f"{stem}.json"),
            ("CSV", analysis.csv, f"{stem}.csv"),
        ):
            st.download_button(kind, content, name, on_click="ignore", icon=":material/download:")
    if not analysis.with_face:
        html(notice("no face found in any frame", f"{analysis.name}:", wrong=False))
        return
    note = f"Mean over the faces in view. {analysis.with_face:,} of {analysis.frames:,} analyzed frames show a face."
    html(f'<section><h2>Over time</h2><p class="faint">{note}</p></section>')
    single = st.toggle(
        "Show each face over time", help="Only if everyone in the video has agreed to it. Faces get numbers, not names."
    )
    show_scrub(analysis, player=_PLAYER, single_faces=single)


heading("Video", "Analyze a clip frame by frame and download the results.")
limits = current_settings().limits
megabytes = max(1, limits.video_bytes // 2**20)
upload = st.file_uploader(
    f"One video, up to {limits.video_seconds:.0f} seconds and {megabytes} MB",
    max_upload_size=megabytes,
    key=f"video {st.session_state.get('video upload', 0)}",
)
if upload is None:
    st.session_state.pop(_RESULT_KEY, None)
else:
    result = st.session_state.get(_RESULT_KEY)
    if result is None or result[0] != upload.file_id:
        place = st.empty()
        with place.container():
            result = (upload.file_id, _analyze(upload.name, upload.getvalue()))
        place.empty()
        st.session_state[_RESULT_KEY] = result
    outcome = result[1]
    if isinstance(outcome, VideoError):
        html(notice(str(outcome), f"{upload.name}:"))
    else:
        _show(outcome)
