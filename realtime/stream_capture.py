"""A stream at an address, read as `CaptureThread` reads a camera."""

import cv2

from realtime.decoder import Decoded, Decoder
from realtime.faces import ByteArray
from realtime.frames import SourceError


class StreamCapture:
    """Stands in for `cv2.VideoCapture`, whose ffmpeg gives memory that nobody wrote for an interlaced frame.

    Args:
        address: Of the stream.
        timeout: Seconds that opening, and each read, may take.
    """

    def __init__(self, address: str, timeout: float) -> None:
        self._decoder: Decoder | None = None
        self._last: Decoded | None = None
        try:
            self._decoder = Decoder(address, stream=True, timeout=timeout)
        except SourceError:
            return

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        """Say whether there is a video at the address."""
        return self._decoder is not None

    def get(self, what: int) -> float:
        """Return one of the properties that `CaptureThread` asks for."""
        decoder = self._decoder
        if decoder is None:
            return 0.0
        match what:
            case cv2.CAP_PROP_FRAME_WIDTH:
                return float(decoder.width)
            case cv2.CAP_PROP_FRAME_HEIGHT:
                return float(decoder.height)
            case cv2.CAP_PROP_FPS:
                return decoder.fps
            case cv2.CAP_PROP_FRAME_COUNT:
                return float(decoder.stated_frames or round(decoder.seconds * decoder.fps))
            case cv2.CAP_PROP_POS_MSEC:
                return 1000 * self._last.time if self._last else 0.0
        return 0.0

    def read(self) -> tuple[bool, ByteArray | None]:
        """Return whether there is a next frame, and that frame."""
        try:
            self._last = self._decoder.next() if self._decoder else None
        except SourceError:
            self._last = None
        return (False, None) if self._last is None else (True, self._last.bgr)

    def release(self) -> None:
        """Close the connection."""
        if self._decoder is not None:
            self._decoder.close()
