"""Teach by holding, in the browser: a live connection collects examples, reviews them, teaches them as one lesson."""

import base64
from typing import Any

from moodspace.arrays import ByteArray
from moodspace.index.taught.faces import LIVE, NewFaces
from moodspace.realtime.collector import Collector, HeldExample
from moodspace.realtime.pipeline import LiveResult
from moodspace.web.components.photos import crop_picture
from moodspace.web.components.teaching import TeachError, check_room, class_name
from moodspace.web.server.visitors import Visitor


class HeldLesson:
    """The examples of one connection, in memory until they are taught or discarded. The caller serializes the calls.

    Args:
        visitor: The visitor who opened the connection.
    """

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._collector: Collector | None = None
        self._track: int | None = None

    def collect(self, track_id: int | None) -> dict[str, Any]:
        """Collect examples of a face from now on, or stop with None; return the message with all examples."""
        self._track = track_id
        if track_id is not None and self._collector is None:
            self._collector = Collector.for_recognizer(self._visitor.recognizer)
        return self.examples()

    def offer(self, frame_bgr: ByteArray, result: LiveResult) -> dict[str, Any] | None:
        """Offer a frame; return the state to tell with its result, or None where there is nothing to teach.

        Answers may arrive in another order than they were made, so each result tells the whole state but the pictures.

        Args:
            frame_bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
            result: The faces of the frame.
        """
        if self._collector is None:
            return None
        if self._track is None:
            return {**self._state(), "hint": "", "added": []}
        before = len(self._collector)
        offer = self._collector.offer_frame(frame_bgr, result, self._track, self._visitor.recognizer)
        added = self._collector.examples[before:]
        if self._collector.full:
            self._track = None
        return {**self._state(), "hint": offer.hint, "added": [_document(one) for one in added]}

    def drop(self, number: int) -> dict[str, Any]:
        """Remove one example; return the message with those that are left."""
        if self._collector is not None:
            self._collector.remove(number)
        return self.examples()

    def discard(self) -> dict[str, Any]:
        """Remove all examples and stop; return the message that says so."""
        self._collector = self._track = None
        return self.examples()

    def teach(self, label: str, *, keep_pictures: bool) -> tuple[str, int]:
        """Teach the examples as one lesson and remove them here; return the class and the number of faces.

        Raises:
            TeachError: There are no examples, the name is invalid, or the gallery is full; the examples stay.
            GalleryError, StorageError: The gallery cannot be written; the examples stay.
        """
        name, collector = class_name(label), self._collector
        if collector is None or not len(collector):
            raise TeachError("expected examples to teach, got none; hold the button while you show the expression")
        n = len(collector)
        pictures = [one.crop for one in collector.examples] if keep_pictures else None
        with self._visitor.lock:
            check_room(self._visitor.gallery, n)
            faces = NewFaces(collector.embeddings, [name] * n, [LIVE] * n, [""] * n, pictures=pictures)
            self._visitor.gallery.add(faces)
        self.discard()
        return name, n

    def examples(self) -> dict[str, Any]:
        """Return the message with all examples and their pictures."""
        shown = self._collector.examples if self._collector is not None else []
        return {"type": "examples", **self._state(), "examples": [_document(one) for one in shown]}

    def _state(self) -> dict[str, Any]:
        collector = self._collector
        return {
            "on": self._track is not None,
            "share": 0.0 if collector is None else round(collector.share, 4),
            "numbers": [] if collector is None else [one.number for one in collector.examples],
        }


def _document(example: HeldExample) -> dict[str, Any]:
    picture = base64.b64encode(crop_picture(example.crop)).decode()
    return {"number": example.number, "picture": f"data:image/png;base64,{picture}"}
