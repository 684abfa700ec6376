"""The live session shows and reports frames, answers keys, and ends when asked; OpenCV's window is faked."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from moodspace.arrays import FloatArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.source import Frame, SourceError
from moodspace.realtime.pipeline import LiveResult
from moodspace.realtime.window import loop as loop_module
from moodspace.realtime.window import screen as screen_module
from moodspace.realtime.window.loop import WindowCallbacks, live
from moodspace.realtime.window.panel import Panel
from moodspace.realtime.window.screen import WindowError
from moodspace.realtime.window.state import ViewState
from tests.realtime.fakes import ByteArray, ListSource, clip_frames, faces_at, noise, read
from tests.realtime.live_results import PlainPipeline

# No test waits this long.
PATIENCE_S = 60.0


class Screen:
    """A fake of OpenCV's window: records the pictures, and presses each key after a number of pictures."""

    def __init__(self) -> None:
        self.shown: list[ByteArray] = []
        self.keys: list[tuple[int, int]] = []
        self.size = (0, 0)
        self.closed_after = 1_000_000
        self.destroyed = False
        self.asked: Callable[[], None] = lambda: None
        self.started = time.monotonic()

    def press(self, delay_ms: int) -> int:
        self.asked()
        if time.monotonic() - self.started > PATIENCE_S:
            raise TimeoutError(f"keys left: {self.keys}, pictures shown: {len(self.shown)}")
        if self.keys and len(self.shown) >= self.keys[0][0]:
            return self.keys.pop(0)[1]
        time.sleep(0.001)
        return -1

    def type(self, after: int, text: str) -> None:
        self.keys += [(after, ord(letter)) for letter in text]

    def visible(self, title: str, what: int) -> float:
        if len(self.shown) >= self.closed_after:
            raise cv2.error("NULL guiReceiver (please create a window)")
        return 1.0

    def resize(self, title: str, width: int, height: int) -> None:
        self.size = width, height

    def destroy(self) -> None:
        self.destroyed = True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setattr(screen_module, "require_display", lambda: None)
    monkeypatch.setenv("QT_QPA_FONTDIR", "")
    monkeypatch.setattr(cv2, "namedWindow", lambda title, flags: None)
    monkeypatch.setattr(cv2, "resizeWindow", screen.resize)
    monkeypatch.setattr(cv2, "getWindowImageRect", lambda title: (0, 0, *screen.size))
    monkeypatch.setattr(cv2, "imshow", lambda title, picture: screen.shown.append(picture))
    monkeypatch.setattr(cv2, "waitKeyEx", screen.press)
    monkeypatch.setattr(cv2, "getWindowProperty", screen.visible)
    monkeypatch.setattr(cv2, "destroyAllWindows", screen.destroy)
    return screen


@pytest.fixture
def pipeline(recognizer: Recognizer) -> PlainPipeline:
    return PlainPipeline(recognizer, faces_at((10, 20, 40, 50), (60, 15, 30, 40)))


@pytest.fixture
def picture() -> ListSource:
    """Return a source of one picture, which stays until space is pressed."""
    return ListSource(clip_frames(1, "a.png", None))


def test_without_a_window_every_frame_is_reported(pipeline: PlainPipeline) -> None:
    source, seen, kept = ListSource(clip_frames(5)), [], []
    count = live(
        source,
        pipeline,
        show=False,
        on_result=lambda frame, result: seen.append((frame.index, result.time)),
        record=lambda frame, result: kept.append(frame.index),
    )
    assert count == 5
    assert seen == [(i, i / 10) for i in range(5)]
    assert kept == [0, 1, 2, 3, 4]
    assert source.closed


def test_a_window_shows_the_drawn_frames(pipeline: PlainPipeline, screen: Screen) -> None:
    seen: list[int] = []
    count = live(ListSource(clip_frames(3)), pipeline, fast=True, on_result=lambda frame, _: seen.append(frame.index))
    assert count == 3
    assert seen == [0, 1, 2]
    assert len(screen.shown) >= 3
    assert all(shown.shape == (*screen.size[::-1], 3) and np.ptp(shown) > 0 for shown in screen.shown)
    assert screen.destroyed


@pytest.mark.parametrize("key", [ord("q"), ord("Q"), 27, 27 | 0x100000])
def test_a_key_leaves(pipeline: PlainPipeline, screen: Screen, key: int) -> None:
    screen.keys = [(1, ord("z")), (3, key)]
    source = ListSource(clip_frames(20))
    assert 3 <= live(source, pipeline) < 20
    assert source.closed
    assert screen.destroyed


def test_closing_the_window_leaves(pipeline: PlainPipeline, screen: Screen) -> None:
    screen.closed_after = 2
    assert live(ListSource(clip_frames(20)), pipeline) < 20


def test_ctrl_c_closes_everything(pipeline: PlainPipeline, screen: Screen) -> None:
    def interrupt(frame: object, result: object) -> None:
        raise KeyboardInterrupt

    source = ListSource(clip_frames(9))
    with pytest.raises(KeyboardInterrupt):
        live(source, pipeline, on_result=interrupt)
    assert source.closed
    assert screen.destroyed


def test_a_picture_stays_until_space_is_pressed(pipeline: PlainPipeline, screen: Screen) -> None:
    pictures = [frame for name in "abc" for frame in clip_frames(1, name, None)]
    screen.type(1, "e")
    screen.type(2, "m ")
    screen.type(3, "q")
    seen: list[str] = []
    live(ListSource(pictures), pipeline, on_result=lambda frame, _: seen.append(frame.source))
    assert seen == ["a", "b"]


def test_a_paused_picture_stands_still(pipeline: PlainPipeline, screen: Screen) -> None:
    seen: list[int] = []
    paused_at: list[tuple[int, float]] = []

    def watch() -> None:
        to_pause = not paused_at and len(seen) == 2
        to_go_on = len(paused_at) == 1 and time.monotonic() - paused_at[0][1] > 0.5
        if to_pause or to_go_on:
            paused_at.append((len(seen), time.monotonic()))
            screen.keys.append((0, ord(" ")))

    screen.asked = watch
    live(ListSource(clip_frames(5)), pipeline, fast=True, on_result=lambda frame, _: seen.append(frame.index))
    assert [count for count, _ in paused_at] == [2, 2]
    assert seen == [0, 1, 2, 3, 4]


def test_a_camera_is_read_by_the_capture_thread(pipeline: PlainPipeline, screen: Screen) -> None:
    source = ListSource(clip_frames(3), live=True, error=SourceError("unplugged"))
    seen: list[int] = []
    with pytest.raises(SourceError, match="unplugged"):
        live(source, pipeline, on_result=lambda frame, result: seen.append(frame.index))
    assert seen[-1] == 2
    assert source.closed


def test_a_source_without_frames_is_reported(pipeline: PlainPipeline, screen: Screen) -> None:
    clock = [100.0]

    def watch() -> None:
        clock[0] += 5.0 if len(screen.shown) == 1 else 0.0

    class Quiet(ListSource):
        def __iter__(self) -> Iterator[Frame]:
            yield from self.frames
            while not screen.destroyed:
                time.sleep(0.01)

    screen.asked = watch
    screen.type(2, "q")
    live(Quiet(clip_frames(1), live=True), pipeline, clock=lambda: clock[0])
    assert (screen.shown[1] != screen.shown[0]).any()


def test_the_picture_follows_the_windows_size(pipeline: PlainPipeline, screen: Screen, picture: ListSource) -> None:
    def enlarge() -> None:
        screen.size = (900, 500) if screen.shown else screen.size

    screen.asked = enlarge
    screen.type(2, "q")
    live(picture, pipeline)
    assert [shown.shape for shown in screen.shown][-1] == (500, 900, 3)


def teaching(taught: list[tuple[FloatArray, str]]) -> Callable[[FloatArray, str, ByteArray], int]:
    def teach(embeddings: FloatArray, label: str, crops: ByteArray) -> int:
        assert len(embeddings) == len(crops) == 1
        taught.append((embeddings[0], label))
        return len(taught)

    return teach


def test_a_number_teaches_the_selected_face(pipeline: PlainPipeline, screen: Screen, picture: ListSource) -> None:
    screen.type(1, "\t4uq")
    taught: list[tuple[FloatArray, str]] = []
    undone: list[str] = []
    live(picture, pipeline, teach=teaching(taught), undo=lambda: undone.append("forgot it") or "forgot it")
    [(embedding, label)] = taught
    assert label == pipeline.recognizer.classes[3]
    assert embedding.shape == (pipeline.recognizer.bundle.encoder.dim,)
    assert undone == ["forgot it"]


def test_a_name_teaches_the_face_as_it_was_when_asked(pipeline: PlainPipeline, screen: Screen) -> None:
    """While the name is typed, other frames come; their faces are not the selected one."""
    frames = [replace(frame, bgr=noise(60, 80, frame.index)) for frame in clip_frames(8)]
    seen: list[FloatArray] = []
    named_at: list[int] = []

    def watch() -> None:
        if not named_at and len(seen) == 2:
            named_at.append(len(seen) - 1)
            screen.type(0, "n")
        elif len(seen) == 5:
            screen.type(0, "bored\r" if not taught and not screen.keys else "")

    screen.asked = watch
    taught: list[tuple[FloatArray, str]] = []
    live(
        ListSource(frames),
        pipeline,
        on_result=lambda _, result: seen.append(result.embeddings[0]),
        teach=teaching(taught),
    )
    [(embedding, label)] = taught
    assert label == "bored"
    np.testing.assert_array_equal(embedding, seen[named_at[0]])
    assert not np.array_equal(embedding, seen[4])


def test_errors_are_shown_and_nothing_ends(pipeline: PlainPipeline, screen: Screen, picture: ListSource) -> None:
    def refuse(*arguments: object) -> str:
        raise ValueError("the disk is full")

    screen.keys = [(1, ord("1")), (2, ord("u")), (2, ord("h")), (3, ord("q"))]
    assert live(picture, pipeline, teach=refuse, undo=refuse) == 1
    assert (screen.shown[1] != screen.shown[0]).any()


def test_without_a_gallery_or_a_face_nothing_is_taught(
    pipeline: PlainPipeline, screen: Screen, picture: ListSource
) -> None:
    screen.type(1, "1u")
    screen.keys.append((2, ord("q")))
    assert live(picture, pipeline) == 1
    screen.shown.clear()
    screen.keys = [(1, ord("1")), (2, ord("q"))]
    taught: list[tuple[FloatArray, str]] = []
    live(
        ListSource(clip_frames(1, "b", None)),
        PlainPipeline(pipeline.recognizer, faces_at()),
        teach=teaching(taught),
    )
    assert taught == []


def test_a_snapshot_is_the_annotated_frame(
    pipeline: PlainPipeline, screen: Screen, picture: ListSource, tmp_path: Path
) -> None:
    screen.type(1, "ssq")
    live(picture, pipeline, snapshots=tmp_path / "new")
    paths = sorted((tmp_path / "new").iterdir())
    assert len(paths) == 2
    saved = read(paths[0])
    assert saved.shape == picture.frames[0].bgr.shape
    assert (saved != picture.frames[0].bgr).any()


def test_a_snapshot_that_cannot_be_written_ends_nothing(
    pipeline: PlainPipeline, screen: Screen, picture: ListSource, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    screen.keys = [(1, ord("s")), (2, ord("q"))]
    assert live(picture, pipeline, snapshots=tmp_path / "file") == 1


def test_no_display_is_an_error(pipeline: PlainPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen_module.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(WindowError, match="expected a display, got none"):
        live(ListSource(clip_frames(1)), pipeline)


def test_the_window_says_what_a_recording_waits_for(
    pipeline: PlainPipeline, screen: Screen, picture: ListSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    views: list[str] = []
    draw = loop_module.draw_live

    def drawn(frame_bgr: ByteArray, result: LiveResult, view: ViewState, panel: Panel) -> ByteArray:
        views.append(view.recording)
        return draw(frame_bgr, result, view, panel)

    monkeypatch.setattr(loop_module, "draw_live", drawn)
    screen.keys = [(1, ord("q"))]
    live(picture, pipeline, record=lambda frame, result: None, recording=lambda: "waiting for 5 faces, 2 in view")
    assert set(views) == {"waiting for 5 faces, 2 in view"}


def test_an_event_is_marked_at_the_moment_of_the_key_not_of_its_name(
    pipeline: PlainPipeline, screen: Screen, picture: ListSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(loop_module.time, "time", lambda: now[0])
    screen.type(1, "xFilm")
    screen.asked = lambda: now.__setitem__(0, now[0] + 1)
    screen.keys += [(1, 13), (2, ord("q"))]
    marked: list[tuple[str, float]] = []

    def mark(name: str, wall_time: float) -> float:
        marked.append((name, wall_time))
        return 83.45

    messages: list[str] = []
    draw = loop_module.draw_live

    def drawn(frame: ByteArray, result: LiveResult, view: ViewState, panel: Panel) -> ByteArray:
        messages.append(view.message)
        return draw(frame, result, view, panel)

    monkeypatch.setattr(loop_module, "draw_live", drawn)
    live(picture, pipeline, mark=mark)
    ((name, wall_time),) = marked
    assert name == "Film" and wall_time < now[0] - 4  # before the other keys
    assert "marked Film at 1:23.5" in messages or "marked Film at 1:23.4" in messages


def test_without_a_recording_an_event_cannot_be_marked(
    pipeline: PlainPipeline, screen: Screen, picture: ListSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen.type(1, "x")
    screen.keys.append((2, ord("q")))  # a letter of the name if it could
    messages: list[str] = []
    draw = loop_module.draw_live
    monkeypatch.setattr(loop_module, "draw_live", lambda *given: messages.append(given[2].message) or draw(*given))
    live(picture, pipeline)
    assert "cannot mark: nothing is recorded; start with --record" in messages


class Lessons:
    """A gallery that keeps what it is taught, and takes back the last lesson."""

    def __init__(self) -> None:
        self.taught: list[tuple[int, str]] = []
        self.ever: list[tuple[int, str]] = []

    def teach(self, embeddings: FloatArray, label: str, crops: ByteArray) -> None:
        assert crops.shape == (len(embeddings), 48, 48) and crops.dtype == np.uint8
        self.taught.append((len(embeddings), label))
        self.ever.append(self.taught[-1])

    def undo(self) -> str:
        return f"undone: {self.taught.pop()}"


class Script:
    """Moves a clock by 30 ms each time a key is asked for, and presses keys at their times of that clock."""

    def __init__(self, screen: Screen, presses: list[tuple[float, int]]) -> None:
        self.screen, self.presses, self.now = screen, sorted(presses), 0.0
        screen.asked = self.look

    def look(self) -> None:
        self.now += 0.03 if self.screen.shown else 0.0
        if self.presses and self.presses[0][0] <= self.now and not self.screen.keys:
            self.screen.keys.append((0, self.presses.pop(0)[1]))

    def clock(self) -> float:
        return self.now


class Steady(ListSource):
    """A camera whose frames differ, for as long as the window is open."""

    def __init__(self, screen: Screen) -> None:
        super().__init__([], live=True)
        self._screen = screen

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while not self._screen.destroyed:
            yield Frame("camera", index, index / 2, noise(60, 80, index), 10.0)
            index += 1
            time.sleep(0.005)


def held_key(key: str, start: float, end: float) -> list[tuple[float, int]]:
    return [(start, ord(key)), *((at, ord(key)) for at in np.arange(start + 0.5, end, 0.06).tolist())]


def run_script(pipeline: PlainPipeline, screen: Screen, presses: list[tuple[float, int]]) -> Lessons:
    lessons, script = Lessons(), Script(screen, presses)
    live(Steady(screen), pipeline, teach=lessons.teach, undo=lessons.undo, clock=script.clock)
    return lessons


def test_a_held_number_teaches_its_frames_as_one_lesson(pipeline: PlainPipeline, screen: Screen) -> None:
    keys = [*held_key("3", 1.0, 4.0), (6.0, 13), (7.0, ord("u")), (8.0, ord("q"))]
    lessons = run_script(pipeline, screen, keys)
    label = pipeline.recognizer.classes[2]
    (first, second) = lessons.ever
    assert first == (1, label), "a press teaches at once"
    assert second[1] == label and second[0] > 3, "what the held key collected comes in its place"
    assert lessons.taught == [], "one undo takes the whole lesson back"


def test_a_held_number_that_is_given_up_leaves_nothing(pipeline: PlainPipeline, screen: Screen) -> None:
    lessons = run_script(pipeline, screen, [*held_key("3", 1.0, 4.0), (6.0, 27), (8.0, ord("q"))])
    assert len(lessons.ever) == 1 and lessons.taught == []


def test_c_collects_until_it_comes_again_and_a_number_or_name_teaches(pipeline: PlainPipeline, screen: Screen) -> None:
    keys = [(1.0, ord("c")), (3.0, ord("c")), (4.0, ord("2"))]
    keys += [(6.0, ord("c")), (7.0, ord("c")), (7.5, 8), (8.0, ord("n"))]
    keys += [(8.5 + 0.1 * at, key) for at, key in enumerate((*b"bored", 13))] + [(10.0, ord("q"))]
    lessons = run_script(pipeline, screen, keys)
    (first, second) = lessons.taught
    assert first[1] == pipeline.recognizer.classes[1] and second[1] == "bored"
    assert first[0] > 1 and second[0] > 1


def test_nothing_is_collected_where_there_is_nothing_to_teach(pipeline: PlainPipeline, screen: Screen) -> None:
    pipeline.faces = faces_at()
    lessons = run_script(pipeline, screen, [(1.0, ord("c")), (2.0, 13), (3.0, ord("q"))])
    assert lessons.ever == []


def test_collected_frames_are_drawn(pipeline: PlainPipeline, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    views: list[ViewState] = []
    draw = loop_module.draw_live

    def drawn(frame_bgr: ByteArray, result: LiveResult, view: ViewState, panel: Panel) -> ByteArray:
        views.append(view)
        return draw(frame_bgr, result, view, panel)

    monkeypatch.setattr(loop_module, "draw_live", drawn)
    run_script(pipeline, screen, [(1.0, ord("c")), (3.0, ord("c")), (4.0, 27), (5.0, ord("q"))])
    shown = [view.held for view in views if view.held is not None]
    shares = [one.share for one in shown if one.marked is None]
    assert shares == sorted(shares) and len(set(shares)) > 2
    assert shown[-1].marked is not None and views[-1].held is None


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        ({}, ""),
        ({"record": print}, "recording"),
        ({"recording": lambda: "sending"}, "sending"),
        ({"record": print, "recording": lambda: "recording, sending"}, "recording, sending"),
    ],
)
def test_the_window_says_what_is_recorded_and_sent(callbacks: dict[str, Any], words: str) -> None:
    assert WindowCallbacks(**callbacks).recording_words == words


class WithBaselines(PlainPipeline):
    """Takes in the baselines as `LivePipeline` does, at ten frames a second."""

    def process(self, frame_bgr: ByteArray, now: float) -> LiveResult:
        result = super().process(frame_bgr, now)
        ids, n = result.track_ids.tolist(), len(result.faces)
        crops = np.zeros((n, 48, 48), np.uint8)
        encoded = self.recognizer.bundle.encoder.encode(crops)
        self.baselines.update(ids, set(ids), np.arange(n), crops, encoded, result.quality, now)
        return replace(result, baselines=self.baselines.states(ids, now))


def long_clip(count: int) -> list[Frame]:
    return [replace(clip_frames(1)[0], index=i, time=i / 10) for i in range(count)]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages of the window, each once."""
    messages: list[str] = []
    draw = loop_module.draw_live

    def noting(frame: ByteArray, result: LiveResult, view: ViewState, panel: Panel) -> ByteArray:
        if view.message and view.message not in messages:
            messages.append(view.message)
        return draw(frame, result, view, panel)

    monkeypatch.setattr(loop_module, "draw_live", noting)
    return messages


def test_a_key_measures_the_resting_face_and_says_why_it_was_refused(
    recognizer: Recognizer, screen: Screen, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moodspace.classifier.baseline.refusal", lambda *args, **options: "it smiles")
    screen.type(2, "b")
    screen.keys.append((40, ord("q")))
    live(ListSource(long_clip(60)), WithBaselines(recognizer, faces_at((10, 20, 40, 50))), fast=True)
    assert said == ["face 1: look relaxed for 3 seconds", "face 1: it smiles"]


def test_the_key_stops_measuring_and_clears_a_baseline(
    recognizer: Recognizer, screen: Screen, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moodspace.classifier.baseline.refusal", lambda *args, **options: "")
    screen.type(2, "b")
    screen.type(12, "b")
    screen.type(16, "b")
    screen.type(60, "b")
    screen.keys.append((64, ord("q")))
    live(ListSource(long_clip(90)), WithBaselines(recognizer, faces_at((10, 20, 40, 50))), fast=True)
    assert said == [
        "face 1: look relaxed for 3 seconds",
        "face 1: stopped measuring",
        "face 1: its resting face is no longer its zero",
    ]


def test_without_a_face_there_is_nothing_to_measure(recognizer: Recognizer, screen: Screen, said: list[str]) -> None:
    screen.type(2, "b")
    screen.keys.append((6, ord("q")))
    live(ListSource(long_clip(20)), WithBaselines(recognizer, faces_at()), fast=True)
    assert said == ["no face in view to measure"]
