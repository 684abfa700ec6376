"""The static site's Photo, Video and Session pages in a real Chromium, compared with Python."""

import csv
import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
from playwright.sync_api import expect
from skimage.data import astronaut

import moodspace
from moodspace.realtime.demo import picture_path
from moodspace.realtime.session.reading import open_session
from tests.web.site.site_pages import ready, start_camera

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page


def saved(page: "Page", button, folder: "Path") -> "Path":
    with page.expect_download() as download:
        button.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def overlap(one: list[float], other: list[float]) -> float:
    """Returns the intersection over union of two boxes."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    right, bottom = (min(one[at] + one[at + 2], other[at] + other[at + 2]) for at in (0, 1))
    shared = max(0.0, right - left) * max(0.0, bottom - top)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def test_a_photo_gives_pythons_answer_and_its_files(open_page, site: str, tmp_path) -> None:
    page = ready(open_page(f"{site}#photo"))
    page.get_by_role("button", name="Sample picture").click()
    photo = page.locator(".photo")
    expect(photo.locator(".face h2")).to_contain_text("happy")
    document = json.loads(saved(page, photo.get_by_role("button", name="JSON"), tmp_path).read_text())
    (face,) = document["faces"]
    (python,) = moodspace.load().recognize(picture_path())
    assert overlap(face["xywh"], list(python.xywh)) > 0.9
    assert face["expression"] == python.expression == "happy"
    assert abs(face["confidence"] - python.confidence) < 0.01
    table = saved(page, photo.get_by_role("button", name="CSV"), tmp_path).read_text()
    (row,) = csv.DictReader(table.splitlines())
    assert float(row["left"]) == face["xywh"][0] and row["neighbor"] == "happy"
    annotated = cv2.imread(str(saved(page, photo.get_by_role("button", name="Picture"), tmp_path)))
    original = cv2.imread(str(picture_path()))
    assert annotated.shape == original.shape and (annotated != original).any()


def test_several_pictures_have_numbered_cards_and_a_damaged_one_a_word(open_page, site: str, tmp_path) -> None:
    twice = np.ascontiguousarray(np.hstack([astronaut()[:300, :450], astronaut()[:300, :450]])[..., ::-1])
    cv2.imwrite(str(tmp_path / "two.png"), twice)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    cv2.imwrite(str(tmp_path / "none.png"), np.full((200, 200, 3), 128, np.uint8))
    page = ready(open_page(f"{site}#photo", width=390, height=844, scheme="dark"))
    page.locator("#page-photo input[type=file]").set_input_files(
        [tmp_path / name for name in ("two.png", "broken.jpg", "none.png")]
    )
    expect(page.locator("#page-photo .status")).to_have_text("3 pictures, 2 faces.")
    assert [words.split(" · ")[0] for words in page.locator(".face h2 + p").all_inner_texts()] == ["Face 1", "Face 2"]
    expect(page.locator(".notice", has_text="broken.jpg:")).to_contain_text("save it as JPEG or PNG")
    expect(page.locator(".notice", has_text="none.png:")).to_contain_text("no face found")
    everything = saved(page, page.locator(".all").get_by_role("button", name="JSON"), tmp_path).read_text()
    assert [len(json.loads(line)["faces"]) for line in everything.splitlines()] == [2, 0]
    # Boxes and cards have the same numbers: the document lists them in that order.
    thumbnails = page.locator(".face .thumbnail")
    expect(thumbnails).to_have_count(2)


def write_video(path: "Path", seconds: int = 2) -> None:
    frame = np.ascontiguousarray(cv2.resize(astronaut()[:384, :512, ::-1], (640, 480)))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), 10, (640, 480))
    for at in range(10 * seconds):
        writer.write(np.roll(frame, at, axis=1))
    writer.release()


def test_a_video_is_analyzed_frame_by_frame(open_page, site: str, tmp_path) -> None:
    write_video(tmp_path / "clip.webm")
    page = ready(open_page(f"{site}#video"))
    page.locator("#page-video input[type=file]").set_input_files(tmp_path / "clip.webm")
    expect(page.locator("#page-video .timeline")).to_be_visible()
    expect(page.locator("#page-video .legend")).to_contain_text("happy")
    document = json.loads(
        saved(page, page.locator("#page-video .results").get_by_role("button", name="JSON"), tmp_path).read_text()
    )
    frames = document["frames"]
    assert 18 <= len(frames) <= 21 and frames[1]["time"] == 0.1
    assert sum(frame["faces"][0]["expression"] == "happy" for frame in frames if frame["faces"]) >= 18
    (tmp_path / "broken.mp4").write_bytes(b"nothing")
    page.locator("#page-video input[type=file]").set_input_files(tmp_path / "broken.mp4")
    expect(page.locator("#page-video .notice")).to_contain_text("expected a video that this browser can play")


def record(page: "Page", least: str, seconds: int = 3) -> None:
    page.locator(".least").select_option(least)
    page.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(1000 * seconds)


def test_a_recorded_session_gives_the_same_report_in_python(open_page, site: str, tmp_path) -> None:
    page = start_camera(ready(open_page(site)))
    record(page, "1")
    page.locator('.pages a[href="#session"]').click()
    expect(page.locator(".state")).to_have_text("Recording while at least 1 face is visible")
    expect(page.locator(".report")).to_contain_text("most frequent expression")
    page.get_by_role("button", name="Stop recording").click()
    session = open_session(saved(page, page.get_by_role("button", name="JSON"), tmp_path))
    assert session.group.recorded.sum() >= 2 and session.min_group == 1
    assert session.classes[int(session.group.proba[0].argmax())] == "happy"
    table = saved(page, page.get_by_role("button", name="CSV"), tmp_path).read_text()
    assert len(list(csv.DictReader(table.splitlines()))) == len(session.group.second)
    report = open_page(saved(page, page.get_by_role("button", name="Report"), tmp_path))
    expect(report.locator("h1")).to_have_text("Expressions shown")
    expect(report.locator(".figures").first).to_contain_text("happy")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("heading", name="How to record")).to_be_visible()


def test_fewer_than_five_faces_are_not_recorded(open_page, site: str, tmp_path) -> None:
    page = start_camera(ready(open_page(site)))
    record(page, "5")
    expect(page.locator(".sign")).to_have_text("Waiting: 5 faces needed, 1 in view")
    page.locator('.pages a[href="#session"]').click()
    expect(page.locator("#page-session .status")).to_contain_text("at least 5 readable faces are needed")
    page.get_by_role("button", name="Stop recording").click()
    text = saved(page, page.get_by_role("button", name="JSON"), tmp_path).read_text()
    assert all(row["faces"] is None and row["shares"] is None for row in json.loads(text)["seconds"])


def test_faces_of_pictures_are_chosen_and_taught_as_one_lesson(open_page, site: str, tmp_path) -> None:
    face = astronaut()[:300, :450]
    twice = np.hstack([face, face[:, ::-1]])
    cv2.imwrite(str(tmp_path / "two.png"), np.ascontiguousarray(twice[..., ::-1]))
    cv2.imwrite(str(tmp_path / "none.png"), np.full((200, 200, 3), 128, np.uint8))
    page = ready(open_page(f"{site}#teach"))
    page.locator(".pictures input[type=file]").set_input_files([tmp_path / "two.png", tmp_path / "none.png"])
    expect(page.locator(".candidates .notice")).to_contain_text("none.png: no face found")
    boxes = page.locator(".candidates input")
    expect(boxes).to_have_count(2)  # also where two faces look alike: the visitor chose them
    for box in boxes.all():
        box.check()
    page.locator(".label-choice").get_by_role("button", name="surprise").click()
    page.get_by_role("button", name="Teach 2 faces").click()
    expect(page.locator(".pictures .status")).to_have_text("surprise: 2 faces taught.")
    expect(page.locator(".own-classes li")).to_contain_text("surprise")
    exported = json.loads(saved(page, page.get_by_role("button", name="Export"), tmp_path).read_text())
    assert [one["source"] for one in exported["faces"]] == ["photo", "photo"]
    page.locator(".gallery .undo").click()
    expect(page.locator(".gallery .count")).to_contain_text("0 faces")
