"""Silence OpenCV's log where Moodspace reports errors itself."""

from collections.abc import Callable

import cv2

from moodspace.embeddings.process_settings import SharedSetting


def _silence() -> Callable[[], object]:
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return lambda: cv2.utils.logging.setLogLevel(level)


# Silence OpenCV's log in all threads until the block ends.
quiet_opencv = SharedSetting(_silence)
