"""Photo: the expressions in pictures from files or the camera, and the reasons."""

import streamlit as st

from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.pictures import is_animated
from moodspace.realtime.demo import picture_path
from moodspace.viz.theme import text
from moodspace.web.components.face_cards import face_cards, notice
from moodspace.web.components.photos import (
    Photo,
    analyze_photo,
    annotated,
    annotated_suffix,
    differences,
    safely,
)
from moodspace.web.components.results import as_csv, as_json, named_after
from moodspace.web.components.theme import heading, html, shades
from moodspace.web.server.decoding import UploadError, decode_picture
from moodspace.web.server.settings import current_settings
from moodspace.web.server.visitors import Visitor, this_visitor

_MOST = 12  # pictures at once
_FILES, _CAMERA, _SAMPLE = "Files", "Camera", "Sample picture"
_NOTHING = "Nothing"
_NO_FACE = "no face found. A face must be at least about 20 pixels wide, upright, lit and seen from the front."


def _pictures() -> list[tuple[str, str, bytes]]:
    """Ask for pictures; return the key, name and content of each."""
    start = st.segmented_control("Picture from", (_FILES, _CAMERA, _SAMPLE), default=_FILES, required=True)
    limits = current_settings().limits
    if start == _SAMPLE:
        return [("sample", picture_path().name, picture_path().read_bytes())]
    if start == _CAMERA:
        taken = st.camera_input("Camera", label_visibility="collapsed")
        return [(taken.file_id, "camera.jpg", taken.getvalue())] if taken else []
    megabytes = max(1, limits.upload_bytes // 2**20)
    label = f"Pictures, up to {_MOST} at once and {megabytes} MB each"
    files = st.file_uploader(label, accept_multiple_files=True, max_upload_size=megabytes)
    if len(files) > _MOST:
        html(notice(f"expected at most {_MOST} pictures at once, got {len(files)}; only the first {_MOST} are shown"))
    return [(file.file_id, file.name, file.getvalue()) for file in files[:_MOST]]


def _analyzed(
    visitor: Visitor, recognizer: Recognizer, view: str, key: str, name: str, content: bytes
) -> Photo | UploadError:
    """Return the result for a picture, analyzed once while it is on the page and nothing new is taught.

    Args:
        visitor: The visitor.
        recognizer: The visitor's recognizer, or one to compare with it.
        view: The name of that one; "" for the visitor's.
        key: The picture's key.
        name: Its name.
        content: Its file.
    """
    seen: dict[tuple[str, int, str], Photo | UploadError] = st.session_state.setdefault("photos", {})
    at = (key, visitor.gallery.generation, view)
    if at not in seen:
        seen[at] = safely(
            lambda: analyze_photo(
                name,
                decode_picture(content, current_settings().limits),
                lambda frame: visitor.engine.recognize(recognizer, frame),
                recognizer,
            )
        )
    return seen[at]


def _comparison(visitor: Visitor) -> tuple[str, Recognizer] | None:
    """Ask what to compare with; return its name and its recognizer, None for nothing."""
    others = visitor.engine.others(visitor.recognizer)
    if not others:
        return None
    chosen = st.selectbox("Compare with", (_NOTHING, *others), width=300)
    return (chosen, others[chosen]) if chosen in others else None


def _show_cards(photo: Photo) -> None:
    faces, colors = photo.document["faces"], shades(photo.result.prediction.classes)
    html(face_cards(faces, photo.thumbnails, colors, photo.reasons, photo.pictures))


def _compare(visitor: Visitor, photo: Photo, name: str, other: Photo) -> None:
    """Show the faces of a picture as two views or bundles read them, side by side."""
    html(notice(differences(photo, other), wrong=False))
    own, second = st.columns(2, gap="medium")
    for column, title, one in ((own, visitor.recognizer.label_set, photo), (second, name, other)):
        with column:
            html(f"<h2>{text(title)}</h2>")
            _show_cards(one)


def _show(visitor: Visitor, photo: Photo, key: str, content: bytes, other: tuple[str, Photo] | None) -> None:
    faces = photo.document["faces"]
    with st.container(key=f"photo-{key}"):
        beside = len(faces) < 3 and other is None
        picture, cards = st.columns([3, 2], gap="medium") if beside else (st.container(), st.container())
        count = f"{len(faces)} faces" if len(faces) != 1 else "1 face"
        picture.image(photo.shown, caption=f"{photo.name}: {count}", width="stretch", alt=f"{photo.name}, annotated")
        with cards:
            if is_animated(content):
                html(
                    notice(
                        "only the first frame was analyzed; the Video page analyzes all frames.",
                        f"{photo.name}:",
                        wrong=False,
                    )
                )
            if faces and other is not None:
                _compare(visitor, photo, *other)
            elif faces:
                _show_cards(photo)
            else:
                html(notice(_NO_FACE, f"{photo.name}:", wrong=False))
        with picture, st.container(horizontal=True):
            st.download_button(
                "Picture",
                # Decoded again on request, so that no visitor's pixels wait in memory for a click.
                lambda: annotated(photo, decode_picture(content, current_settings().limits)),
                named_after(photo.name, f"-annotated{annotated_suffix(photo.name)}"),
                on_click="ignore",
                icon=":material/download:",
                key=f"picture {key}",
            )
            if faces:
                _downloads([photo], named_after(photo.name, ""), key)


def _downloads(photos: list[Photo], stem: str, key: str) -> None:
    documents = [photo.document for photo in photos]
    for kind, content, mime in (
        ("JSON", as_json(documents), "application/json"),
        ("CSV", as_csv(documents), "text/csv"),
    ):
        name = f"{stem}.{kind.lower()}"
        st.download_button(kind, content, name, mime, on_click="ignore", icon=":material/download:", key=f"{kind}{key}")


heading("Photo", "Read the expressions in a picture, with confidence and the closest known faces.")
visitor = this_visitor()
pictures = _pictures()
comparison = _comparison(visitor)
results = {key: _analyzed(visitor, visitor.recognizer, "", key, name, content) for key, name, content in pictures}
shown = {(key, visitor.gallery.generation, ""): result for key, result in results.items()}
for key, name, content in pictures:
    result = results[key]
    if isinstance(result, UploadError):
        html(notice(str(result), f"{name}:"))
        continue
    compared = None
    if comparison is not None:
        view, recognizer = comparison
        second = _analyzed(visitor, recognizer, view, key, name, content)
        shown[key, visitor.gallery.generation, view] = second
        compared = (view, second) if isinstance(second, Photo) else None
    _show(visitor, result, key, content, compared)
# Only results of pictures that are on the page are kept.
st.session_state["photos"] = shown
read = [result for result in results.values() if isinstance(result, Photo)]
if len(read) > 1:
    with st.container(horizontal=True, vertical_alignment="center"):
        html('<p class="word">All pictures together</p>')
        _downloads(read, "moodspace", "all")
