"""Settings of the process come back, however the blocks of several threads overlap."""

import threading
import warnings
from collections.abc import Callable

import cv2
import numpy as np

from moodspace.embeddings.detection.opencv_logging import quiet_opencv
from moodspace.embeddings.process_settings import SharedSetting, no_warnings


def overlapped(block: SharedSetting, look: Callable[[], object]) -> list[object]:
    """Enters in one thread, then in another, leaves in the order of entry; returns what is seen after each step."""
    seen = []
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with block():
            entered.set()
            leave.wait(10)

    second = threading.Thread(target=other)
    with block():
        seen.append(look())
        second.start()
        assert entered.wait(10)
    seen.append(look())
    leave.set()
    second.join(10)
    return [*seen, look()]


def test_the_last_to_leave_restores() -> None:
    changes: list[str] = []

    def change() -> Callable[[], object]:
        changes.append("changed")
        return lambda: changes.append("restored")

    block = SharedSetting(change)
    assert overlapped(block, lambda: len(changes)) == [1, 1, 2]
    assert changes == ["changed", "restored"]


def test_the_warnings_come_back() -> None:
    before = list(warnings.filters)
    quiet, still, after = overlapped(no_warnings, lambda: list(warnings.filters))
    assert quiet == still != before
    assert after == before


def test_opencvs_log_comes_back() -> None:
    level = cv2.utils.logging.getLogLevel()
    silent = cv2.utils.logging.LOG_LEVEL_SILENT
    assert overlapped(quiet_opencv, cv2.utils.logging.getLogLevel) == [silent, silent, level]


def test_an_error_in_a_block_restores_too() -> None:
    before = list(warnings.filters)
    try:
        with no_warnings():
            np.zeros(2).reshape(3)
    except ValueError:
        pass
    assert list(warnings.filters) == before
