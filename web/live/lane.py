"""One live connection's work, done in the engine's threads: frames looked at, faces taught."""

import threading
import time
from typing import Any

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.index.taught.faces import LIVE, NewFaces
from moodspace.realtime.documents import face_document
from moodspace.realtime.evidence import reason
from moodspace.realtime.pipeline import LivePipeline, LiveResult
from moodspace.realtime.window.minimap import MapDots
from moodspace.web.components.teaching import TeachError, check_room, class_name
from moodspace.web.live.messages import FrameMessage, class_list, decode_frame
from moodspace.web.live.session import start_recording, stop_recording
from moodspace.web.server.visitors import Visitor

# A face that left the picture can be taught for so long, seconds: people look down at the button.
_MEMORY_S = 3.0


class LiveWorker:
    """Analyze the frames of one connection, and teach faces from them.

    Args:
        visitor: Whose connection it is.
    """

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self._pipeline = LivePipeline(visitor.engine.detector, visitor.recognizer)
        self._places = MapDots(visitor.recognizer.bundle)
        self._embeddings: dict[int, tuple[float, FloatArray]] = {}
        self._bounds = _bounds(visitor.recognizer.bundle.map_coordinates)
        self._lock = threading.Lock()

    @property
    def recording(self) -> dict[str, Any]:
        """Whether what is shown is kept, as the browser is told; for whichever of the visitor's tabs that was asked."""
        session = self.visitor.session
        if session is None or not session.recording:
            return {"type": "recording", "on": False}
        return {"type": "recording", "on": True, "min_group": session.min_group}

    def look(self, message: FrameMessage, now: float) -> dict[str, Any]:
        """Return what a frame shows, as the browser gets it.

        Args:
            message: The frame as it came.
            now: Seconds on a clock that only goes on.

        Raises:
            MessageError: it cannot be decoded.
        """
        frame = decode_frame(message.jpeg)
        with self._lock:
            result = self._pipeline.process(frame, now)
            places = self._places.follow(result)
            self._remember(result, now)
            if (session := self.visitor.session) is not None:
                session.add(result, time.time())
        faces = [self._face(result, row, places) for row in range(len(result.faces))]
        height, width = frame.shape[:2]
        return {
            "type": "result", "sequence": message.sequence, "sent": message.sent, "size": [width, height],
            "faces": faces, "recording": self.recording.get("min_group"),
            "timings_ms": {name: round(float(spent), 3) for name, spent in result.timings_ms.items()},
        }  # fmt: skip

    def teach(self, track_id: int, label: str) -> list[dict[str, Any]]:
        """Teach the face with this track number as a class; return the messages for the browser.

        Raises:
            TeachError: the face is gone, the name is none, or the gallery is full.
            GalleryError, StorageError: the gallery cannot be written.
        """
        name = class_name(label)
        with self._lock:
            remembered = self._embeddings.get(track_id)
        if remembered is None:
            raise TeachError("this face is no longer in view; select a face and teach again")
        with self.visitor.lock:
            check_room(self.visitor.gallery, 1)
            self.visitor.gallery.add(NewFaces(remembered[1][None], [name], [LIVE], [""]))
        self._look_anew()
        return [{"type": "taught", "label": name, **self._gallery()}]

    def undo(self) -> list[dict[str, Any]]:
        """Undo the last lesson; return the messages for the browser.

        Raises:
            GalleryError, StorageError: the gallery cannot be written.
        """
        with self.visitor.lock:
            undone = self.visitor.gallery.undo()
        self._look_anew()
        return [{"type": "undone", "labels": dict(undone.labels) if undone else {}, **self._gallery()}]

    def record(self, on: bool, min_group: int) -> list[dict[str, Any]]:
        """Start or stop recording; return the messages for the browser.

        Raises:
            SessionError: it cannot be kept.
        """
        if on:
            start_recording(self.visitor, min_group=min_group)
        else:
            stop_recording(self.visitor)
        return [self.recording]

    def reset(self) -> None:
        """Treat the next frame as the first of another source."""
        with self._lock:
            self._pipeline.restart()

    def _look_anew(self) -> None:
        with self._lock:
            self._pipeline.look_anew()

    def _gallery(self) -> dict[str, Any]:
        labels = self.visitor.gallery.summary().labels
        return {"count": sum(labels.values()), "classes": class_list(self.visitor.classes)}

    def _remember(self, result: LiveResult, now: float) -> None:
        fresh = {one: (now, row) for one, row in zip(result.track_ids.tolist(), result.embeddings, strict=True)}
        kept = {one: seen for one, seen in self._embeddings.items() if now - seen[0] < _MEMORY_S}
        self._embeddings = kept | fresh

    def _face(self, result: LiveResult, row: int, places: dict[int, FloatArray]) -> dict[str, Any]:
        face, smoothed = face_document(result, row), result.smoothed[row]
        column = int(result.shown[row])
        face["confidence"] = round(float(smoothed[column] if column >= 0 else smoothed.max()), 6)
        face["evidence"] = [
            {"id": one.id, "label": one.label, "similarity": round(one.similarity, 4), "source": one.source,
             "taught": one.taught}
            for one in result.nearest[row]
        ]  # fmt: skip
        classes = result.prediction.classes
        answer, known = classes[int(smoothed.argmax())], self.visitor.recognizer.classes
        face["reason"] = "" if column < 0 else reason(answer, known, result.nearest[row], classes, result.votes[row])
        place = places.get(face["id"])
        lowest, side = self._bounds
        face["place"] = None if place is None else [round(float(value), 4) for value in (place - lowest) / side]
        return face


def _bounds(coordinates: FloatArray | None) -> tuple[FloatArray, float]:
    """Return the lowest corner of the map and the length of its longer side."""
    if coordinates is None or not len(coordinates):
        return np.zeros(2, np.float32), 1.0
    return coordinates.min(axis=0), float(np.ptp(coordinates, axis=0).max()) or 1.0
