"""Teach: add example faces to known or new classes; undo, forget, export and import."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from moodspace.classifier.separation import Separation, separation
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.viz.theme import text
from moodspace.web.components.face_cards import crop_row, notice
from moodspace.web.components.photos import Candidates, candidates, chosen, crop_picture, safely
from moodspace.web.components.teaching import (
    MOST_BYTES,
    MOST_FACES,
    TeachError,
    class_name,
    exported,
    imported,
    public_message,
    teach,
)
from moodspace.web.components.theme import heading, html, mark_of, shades
from moodspace.web.live.component import show_collect
from moodspace.web.server.decoding import UploadError, decode_picture
from moodspace.web.server.settings import current_settings
from moodspace.web.server.visitors import Visitor, VisitorsError, this_visitor

_FILES, _CAMERA = "Files", "Camera"
_MOST = 20  # pictures at once
_NO_FACE = "no face found; use a picture with a larger, upright face seen from the front"
# Session state: the number of lessons, which resets the file choosers by their keys; the message for the next run.
_LESSONS = "lesson"
_MESSAGE = "told"


def _found(visitor: Visitor, files: list[tuple[str, str, bytes]]) -> list[Candidates | UploadError]:
    """Return the faces of each picture, detected once while it is on the page."""
    seen: dict[str, Candidates | UploadError] = st.session_state.get("candidates", {})
    found: dict[str, Candidates | UploadError] = {}
    for key, name, content in files:
        if key not in seen:
            seen[key] = safely(partial(_faces, visitor, name, content))
        found[key] = seen[key]
    st.session_state["candidates"] = found
    return list(found.values())


def _faces(visitor: Visitor, name: str, content: bytes) -> Candidates:
    bgr = decode_picture(content, current_settings().limits)
    result = visitor.engine.recognize(visitor.recognizer, bgr)
    return candidates(name, bgr, result, visitor.recognizer.bundle.geometry)


def _choose(found: list[tuple[str, str, Candidates | UploadError]]) -> list[tuple[Candidates, int]]:
    """Show the faces, and ask which one to teach if a picture has several."""
    picked = []
    for key, name, one in found:
        if isinstance(one, UploadError):
            html(notice(str(one), f"{name}:"))
        elif not len(one.crops):
            html(notice(_NO_FACE, f"{one.source}:"))
        else:
            n = len(one.crops)
            html(crop_row([crop_picture(crop) for crop in one.crops], one.source))
            row: int | None = 0
            if n > 1:
                row = st.pills(
                    f"Which face of {one.source}?",
                    range(n),
                    default=0,
                    format_func=lambda at: f"Face {at + 1}",
                    key=key,
                    wrap=True,
                )
            if row is not None:
                picked.append((one, row))
    return picked


def _lesson(visitor: Visitor) -> None:
    """Ask where examples come from, and teach them."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        start = st.segmented_control("Examples from", (_FILES, _CAMERA), default=_FILES, required=True)
        keep = st.toggle(
            "Keep pictures of taught faces",
            help="Small gray pictures that appear as evidence. Without them, only embeddings are stored.",
        )
    if start == _FILES:
        _from_files(visitor, keep_pictures=keep)
    elif taught := show_collect(keep_pictures=keep):
        n = taught["faces"]
        _tell(f"{taught['label']}: {n} {'face' if n == 1 else 'faces'} taught.")
        st.rerun()


def _from_files(visitor: Visitor, *, keep_pictures: bool) -> None:
    number = st.session_state.setdefault(_LESSONS, 0)
    limits = current_settings().limits
    megabytes = max(1, limits.upload_bytes // 2**20)
    files = st.file_uploader(
        f"Pictures with a face, up to {_MOST} at once",
        accept_multiple_files=True,
        max_upload_size=megabytes,
        key=f"examples {number}",
    )
    if len(files) > _MOST:
        html(notice(f"expected at most {_MOST} pictures at once, got {len(files)}; only the first {_MOST} are used"))
    given = [(file.file_id, file.name, file.getvalue()) for file in files[:_MOST]]
    found = _found(visitor, given)
    picked = _choose([(key, name, one) for (key, name, _), one in zip(given, found, strict=True)])
    names = visitor.classes
    known = st.pills("Expression", names, key=f"class {number}", wrap=True)
    new = st.text_input("Or a new class", placeholder="confused, thinking, bored ...", key=f"new {number}")
    button = f"Teach {len(picked)} {'face' if len(picked) == 1 else 'faces'}" if picked else "Teach"
    if st.button(button, type="primary", disabled=not picked, icon=":material/school:"):
        _teach(visitor, picked, new or known or "", keep_pictures=keep_pictures)


def _teach(visitor: Visitor, picked: list[tuple[Candidates, int]], typed: str, *, keep_pictures: bool) -> None:
    try:
        label = class_name(typed)
        with visitor.lock:
            examples = chosen(picked, visitor.engine.encode)
            lesson = teach(visitor.gallery, label, examples, keep_pictures=keep_pictures)
    except (TeachError, GalleryError, StorageError) as error:
        html(notice(public_message(error)))
        return
    st.session_state[_LESSONS] += 1
    _tell(f"{label}: {lesson.summary}.")
    st.rerun()


def _tell(message: str, *, wrong: bool = False) -> None:
    """Store a message that the next run of the page shows."""
    st.session_state[_MESSAGE] = message, wrong


def _change(act: Callable[[Visitor], str]) -> None:
    """Change the gallery of the current visitor, and store the result or the error as the message.

    A callback runs before the page does; on a page that was idle its visitor may already be gone.
    """
    try:
        visitor = this_visitor()
        with visitor.in_use(), visitor.lock:
            _tell(act(visitor))
    except (VisitorsError, GalleryError, StorageError) as error:
        _tell(public_message(error), wrong=True)


def _undone(visitor: Visitor) -> str:
    undone = visitor.gallery.undo()
    return f"Undone: {undone.summary}" if undone else "Nothing to undo."


def _undo() -> None:
    _change(_undone)


def _forget(label: str) -> None:
    def forgotten(visitor: Visitor) -> str:
        count = visitor.gallery.remove_label(label)
        return f"Forgot {label}: {count} {'face' if count == 1 else 'faces'}."

    _change(forgotten)


def _export(visitor: Visitor) -> bytes:
    with visitor.in_use():
        return exported(visitor.gallery)


def _import(visitor: Visitor) -> None:
    number = st.session_state.setdefault("imports", 0)
    file = st.file_uploader(
        "An exported gallery (.parquet)", type=["parquet"], max_upload_size=MOST_BYTES // 2**20, key=f"import {number}"
    )
    if file is None:
        return
    try:
        with visitor.lock:
            added, known = imported(visitor.gallery, file.getvalue())
    except (TeachError, GalleryError, StorageError) as error:
        html(notice(public_message(error), f"{file.name}:"))
        return
    st.session_state["imports"] += 1
    _tell(f"{added} {'face' if added == 1 else 'faces'} imported" + (f", {known} already known." if known else "."))
    st.rerun()


def _separation(visitor: Visitor) -> dict[str, Separation]:
    """Return how well the taught classes separate, computed once for each state of the gallery."""
    state, found = st.session_state.get("separation", ("", {}))
    if state != visitor.stamp:
        state = visitor.stamp
        found = separation(visitor.recognizer, visitor.gallery, visitor.gallery.summary().labels)
        st.session_state["separation"] = state, found
    return found


def _gallery(visitor: Visitor) -> None:
    labels = visitor.gallery.summary().labels
    count = sum(labels.values())
    html(f"<h2>Your gallery</h2><p class='faint'>{count:,} of at most {MOST_FACES:,} faces. Only you can see it.</p>")
    colors, apart = shades(visitor.classes), _separation(visitor)
    # In a container, so that the elements after it keep position and state when the number of classes changes.
    with st.container():
        for name, n in labels.items():
            with st.container(horizontal=True, vertical_alignment="center"):
                note = f'<span class="faint small">{text(apart[name].summary)}</span>' if name in apart else ""
                html(f'<p class="taught">{mark_of(name, colors)}<span class="number">{n}</span>{note}</p>')
                st.button("Forget", key=f"forget {name}", type="tertiary", on_click=_forget, args=(name,))
    with st.container(horizontal=True):
        st.button("Undo last", icon=":material/undo:", disabled=not count, on_click=_undo)
        if count:
            st.download_button(
                "Export",
                lambda: _export(visitor),
                "moodspace.parquet",
                "application/vnd.apache.parquet",
                icon=":material/download:",
                on_click="ignore",
            )
    with st.expander("Import a gallery"):
        _import(visitor)


heading("Teach", "Add example faces and name their expression; the next prediction uses them.")
this = this_visitor()
with st.container():
    if message := st.session_state.pop(_MESSAGE, None):
        html(notice(message[0], wrong=message[1]))
lesson, gallery = st.columns([3, 2], gap="large")
with lesson:
    _lesson(this)
with gallery, st.container(border=True, key="gallery"):
    _gallery(this)
