"""The work of one live connection, done in the engine's threads: analyze frames, teach faces, record."""

import threading
import time
from typing import Any

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.index.taught.faces import LIVE, NewFaces
from moodspace.realtime.documents import face_document
from moodspace.realtime.evidence import reason
from moodspace.realtime.pipeline import LivePipeline, LiveResult
from moodspace.realtime.session.file import SessionError
from moodspace.realtime.window.minimap import MapDots
from moodspace.web.components.face_route import PATH as FACES
from moodspace.web.components.teaching import TeachError, check_room, class_name
from moodspace.web.live.held import HeldLesson
from moodspace.web.live.messages import FrameMessage, class_list, decode_frame
from moodspace.web.server.sending import LiveSender
from moodspace.web.server.visitors import Visitor

# The source of marks of the Live page.
WEB = "web"
# Seconds for which a face can still be taught after it left the picture: people look down at the button.
_MEMORY_S = 3.0


class LiveWorker:
    """Analyze the frames of one connection, teach faces from them, and record them. Thread-safe.

    Args:
        visitor: The visitor who opened the connection.
    """

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self._pipeline = LivePipeline(visitor.engine.detector, visitor.recognizer)
        self._places = MapDots(visitor.recognizer.bundle)
        self._embeddings: dict[int, tuple[float, FloatArray]] = {}
        self._bounds = _bounds(visitor.recognizer.bundle.map_coordinates)
        self._sender = LiveSender()
        self._lock = threading.Lock()
        self._lesson = HeldLesson(visitor)

    @property
    def recording(self) -> dict[str, Any]:
        """The message that says whether a recording is running, started in any of the visitor's tabs."""
        recording = self.visitor.recording
        if recording is None or not recording.running:
            return {"type": "recording", "on": False}
        return {"type": "recording", "on": True, "min_group": recording.min_group}

    def analyze(self, message: FrameMessage, now: float) -> dict[str, Any]:
        """Analyze a frame; return the message for the browser.

        Args:
            message: The frame as it arrived.
            now: Seconds of a monotonic clock.

        Raises:
            MessageError: The frame cannot be decoded.
            VisitorsError: The visitor has been forgotten while the frame waited.
        """
        frame = decode_frame(message.jpeg)
        with self.visitor.in_use(), self._lock:
            result = self._pipeline.process(frame, now)
            places = self._places.follow(result)
            self._remember(result, now)
            if (recording := self.visitor.recording) is not None:
                recording.add(result, time.time() - (time.monotonic() - now))
            collected = self._lesson.offer(frame, result)
            self._sender.add(frame, result, now)
        faces = [self._face(result, row, places) for row in range(len(result.faces))]
        height, width = frame.shape[:2]
        return {
            "type": "result", "sequence": message.sequence, "sent": message.sent, "size": [width, height],
            "faces": faces, "recording": self.recording.get("min_group"), "collected": collected,
            "timings_ms": {name: round(float(spent), 3) for name, spent in result.timings_ms.items()},
        }  # fmt: skip

    def teach(self, track_id: int, label: str) -> list[dict[str, Any]]:
        """Teach the face with this track number as a class; return the messages for the browser.

        Raises:
            TeachError: The face is gone, the name is invalid, or the gallery is full.
            GalleryError, StorageError: The gallery cannot be written.
        """
        name = class_name(label)
        with self._lock:
            remembered = self._embeddings.get(track_id)
        if remembered is None:
            raise TeachError("this face is no longer in view; select a face and teach again")
        with self.visitor.lock:
            check_room(self.visitor.gallery, 1)
            self.visitor.gallery.add(NewFaces(remembered[1][None], [name], [LIVE], [""]))
        self._reanalyze()
        return [{"type": "taught", "label": name, "faces": 1, **self._gallery()}]

    def hold(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Collect, drop, discard or teach held examples, as a request asks; return the messages for the browser.

        Raises:
            TeachError: There is nothing to teach, the name is invalid, or the gallery is full.
            GalleryError, StorageError: The gallery cannot be written.
        """
        with self._lock:
            match request["type"]:
                case "collect":
                    return [self._lesson.collect(request["track"])]
                case "drop":
                    return [self._lesson.drop(request["number"])]
                case "discard":
                    return [self._lesson.discard()]
            name, n = self._lesson.teach(request["label"], keep_pictures=request["keep"])
            self._pipeline.reset_smoothing()
            return [self._lesson.examples(), {"type": "taught", "label": name, "faces": n, **self._gallery()}]

    def undo(self) -> list[dict[str, Any]]:
        """Undo the last lesson; return the messages for the browser.

        Raises:
            GalleryError, StorageError: The gallery cannot be written.
        """
        with self.visitor.lock:
            undone = self.visitor.gallery.undo()
        self._reanalyze()
        return [{"type": "undone", "labels": dict(undone.labels) if undone else {}, **self._gallery()}]

    def toggle_baseline(self, track_id: int) -> list[dict[str, Any]]:
        """Measure a face's resting face or, if it is in use or being measured, clear it; the next results show it."""
        self._pipeline.baselines.toggle(track_id)
        return []

    def record(self, on: bool, min_group: int) -> list[dict[str, Any]]:
        """Start or stop recording; return the messages for the browser.

        Raises:
            SessionError: An earlier recording has not been discarded, or nothing can be written.
        """
        if on:
            self.visitor.start_recording(min_group=min_group)
        else:
            self.visitor.stop_recording()
        return [self.recording]

    def mark(self, name: str, ago: float) -> list[dict[str, Any]]:
        """Mark an event in the recording; return the messages for the browser.

        Args:
            name: What happened.
            ago: How many seconds ago.

        Raises:
            SessionError: Nothing is being recorded, or the name cannot be used.
        """
        recording = self.visitor.recording
        if recording is None:
            raise SessionError("start a recording first; events are marked in it")
        try:
            made = recording.mark(name, WEB, time.time() - ago)
        except ValueError as error:
            raise SessionError(str(error)) from error
        return [{"type": "marked", "name": made.name, "time": made.time}]

    def reset(self) -> None:
        """Forget all tracks: the next frame is the first of another source."""
        with self._lock:
            self._pipeline.restart()

    def _reanalyze(self) -> None:
        with self._lock:
            self._pipeline.reset_smoothing()

    def _gallery(self) -> dict[str, Any]:
        labels = self.visitor.gallery.summary().labels
        return {"count": sum(labels.values()), "classes": class_list(self.visitor.classes)}

    def _remember(self, result: LiveResult, now: float) -> None:
        current = {one: (now, row) for one, row in zip(result.track_ids.tolist(), result.embeddings, strict=True)}
        kept = {one: seen for one, seen in self._embeddings.items() if now - seen[0] < _MEMORY_S}
        self._embeddings = kept | current

    def _face(self, result: LiveResult, row: int, places: dict[int, FloatArray]) -> dict[str, Any]:
        face, smoothed = face_document(result, row), result.smoothed[row]
        column = int(result.shown[row])
        face["confidence"] = round(float(smoothed[column] if column >= 0 else smoothed.max()), 6)
        pictured = self.visitor.recognizer.pictures.of([one.id for one in result.nearest[row]])
        face["evidence"] = [
            {"id": one.id, "label": one.label, "similarity": round(one.similarity, 4), "source": one.source,
             "taught": one.taught, "picture": f"{FACES}/{one.id}" if one.id in pictured else None}
            for one in result.nearest[row]
        ]  # fmt: skip
        classes = result.prediction.classes
        answer, known = classes[int(smoothed.argmax())], self.visitor.recognizer.classes
        face["reason"] = "" if column < 0 else reason(answer, known, result.nearest[row], classes, result.votes[row])
        place = places.get(face["id"])
        lowest, side = self._bounds
        baseline = result.baselines[row]
        face["measuring"] = None if baseline.left is None else round(baseline.left, 1)
        face["baseline_note"] = baseline.note
        face["place"] = None if place is None else [round(float(value), 4) for value in (place - lowest) / side]
        return face


def _bounds(coordinates: FloatArray | None) -> tuple[FloatArray, float]:
    """Return the corner of the map with the lowest coordinates, and the length of its longer side."""
    if coordinates is None or not len(coordinates):
        return np.zeros(2, np.float32), 1.0
    return coordinates.min(axis=0), float(np.ptp(coordinates, axis=0).max()) or 1.0
