"""The camera's thread: whatever goes wrong in it, whoever waits is told that no more pictures come."""

import logging

import numpy as np
import pytest

from moodspace.realtime.capture.cameras import CaptureThread

PATIENCE_S = 5.0


class Camera:
    """One that gives pictures until something fails."""

    def __init__(self, fails: str) -> None:
        self._fails, self._left = fails, 2

    def _fail(self, where: str) -> None:
        if self._fails == where:
            raise ValueError(f"a driver's mistake in {where}")

    def isOpened(self) -> bool:
        self._fail("isOpened")
        return True

    def get(self, what: int) -> float:
        self._fail("get")
        return 0.0

    def read(self) -> tuple[bool, np.ndarray]:
        self._left -= 1
        if self._left < 0:
            self._fail("read")
            return False, np.zeros((0, 0, 3), np.uint8)
        return True, np.zeros((4, 4, 3), np.uint8)

    def release(self) -> None:
        self._fail("release")


@pytest.mark.parametrize("fails", ["open", "isOpened", "get", "read", "release"])
def test_an_error_ends_the_pictures_and_is_logged(fails: str, caplog: pytest.LogCaptureFixture) -> None:
    def opener() -> Camera:
        if fails == "open":
            raise ValueError("a driver's mistake in open")
        return Camera(fails)

    with caplog.at_level(logging.ERROR):
        thread = CaptureThread(opener)
        opened = thread.properties(PATIENCE_S)
        assert (opened is None) == (fails in ("open", "isOpened", "get"))
        shots = 0
        while thread.take(PATIENCE_S) is not None:
            shots += 1
        thread.join(PATIENCE_S)
    assert shots == (2 if opened else 0)
    assert f"a driver's mistake in {fails}" in caplog.text
