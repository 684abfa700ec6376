"""The newest frame of a source that does not wait: a thread takes every frame, the reader gets the last one."""

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from realtime.sources import Frame, Source

# A camera that hangs must not keep the program from ending; the thread is a daemon and ends with it.
_PATIENCE_S = 2.0


class NewestFrames:
    """Frames of a source, without those that came while the reader was busy.

    The source is iterated, and closed, in a thread of its own, from the start of the `with` block to its end.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._error: BaseException | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with self._source as source:
                for frame in source:
                    with self._changed:
                        self._frame = frame
                        self._changed.notify()
                    if self._ended:
                        break
        except BaseException as raised:  # handed to the reader, which raises it
            error = raised
        with self._changed:
            self._error, self._ended = error, True
            self._changed.notify()

    def __iter__(self) -> Iterator[Frame]:
        """Yields the newest frame that has not been seen, waiting for one.

        Raises:
            SourceError: as the source does, once its last frame was seen.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frame is not None or self._ended)
                frame, self._frame = self._frame, None
            if frame is None:
                break
            yield frame
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._thread.join(_PATIENCE_S)
