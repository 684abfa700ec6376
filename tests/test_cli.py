"""What each command does with the shipped bundle, and what it prints where."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

import moodspace as ms
from moodspace.embeddings.data.labels import FER2013_CLASSES, FERPLUS_CLASSES
from tests.conftest import ROOT
from tests.drawn_faces import draw_person, drawn_faces, person_at_rest, write_folder
from tests.made_videos import INTERLACED, cut, write_video

GALLERY = 28_709
FACE = ["xywh", "expression", "confidence", "probabilities", "unknown", "neighbors", "quality"]
NEIGHBOR = ["id", "label", "similarity", "source"]
# How many of the faces that voted are named.
NAMED = 5


@pytest.fixture(scope="module", autouse=True)
def needs_the_shipped_bundle(shipped):
    """All of this file is about it."""


def succeeded(result):
    assert result.exit_code == 0, result.output
    return result.stdout


def check_face(face, classes):
    assert list(face) == FACE
    assert tuple(face["probabilities"]) == classes
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["expression"] == max(face["probabilities"], key=face["probabilities"].get)
    assert face["confidence"] == face["probabilities"][face["expression"]]
    assert isinstance(face["unknown"], bool)
    assert [list(neighbor) for neighbor in face["neighbors"]] == [NEIGHBOR] * NAMED
    similarities = [neighbor["similarity"] for neighbor in face["neighbors"]]
    assert similarities == sorted(similarities, reverse=True)
    assert all(-1.001 <= value <= 1.001 for value in similarities)
    assert all(neighbor["label"] in (*classes, None) for neighbor in face["neighbors"])
    assert all(neighbor["source"] for neighbor in face["neighbors"])
    assert len({neighbor["id"] for neighbor in face["neighbors"]}) == NAMED


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


def test_demo_tells_the_face_and_leaves_a_picture_and_a_clip(run, tmp_path):
    lines = succeeded(run("demo", "--out", tmp_path / "demo")).splitlines()
    faces = [line for line in lines if line.startswith("face ")]
    assert len(faces) == 1
    told = re.fullmatch(r"face 1: (\w+) (\d+)%( \(unsure[^)]*\))?", faces[0])
    assert told and told[1] in FER2013_CLASSES
    assert re.fullmatch(rf"  probabilities: {told[1]} {told[2]}%, \w+ \d+%, \w+ \d+%", lines[1])
    assert re.fullmatch(r"  votes: (\w+ \d+%(, )?){3}", lines[2])
    near = [re.fullmatch(r"  near: (\w+) ([01]\.\d{3}) \S+", line) for line in lines if line.startswith("  near")]
    assert len(near) == NAMED and all(found and found[1] in FER2013_CLASSES for found in near)
    picture, clip = tmp_path / "demo" / "astronaut.png", tmp_path / "demo" / "astronaut.mp4"
    frames = frames_of(clip)
    assert lines[-1] == f"wrote {picture} and {clip} ({len(frames)} frames)"
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["astronaut.mp4", "astronaut.png"]
    assert len(frames) > 24 and not np.array_equal(frames[0], frames[-1])
    with av.open(str(clip)) as opened:
        (stream,) = opened.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")


def test_demo_draws_on_the_picture(run, astronaut, tmp_path):
    succeeded(run("demo", "--out", tmp_path))
    drawn = np.asarray(Image.open(tmp_path / "astronaut.png").convert("RGB"), int)
    plain = np.asarray(Image.open(astronaut).convert("RGB"), int)
    assert drawn.shape == plain.shape
    changed = (np.abs(drawn - plain).max(axis=2) > 8).mean()
    assert 0.001 < changed < 0.5


def test_predict_prints_one_json_document_and_nothing_else(run_process, astronaut):
    done = run_process("predict", astronaut, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    document = json.loads(done.stdout)
    assert list(document) == ["source", "faces"]
    assert document["source"] == str(astronaut)
    (face,) = document["faces"]
    check_face(face, FER2013_CLASSES)
    left, top, width, height = face["xywh"]
    # Where the face is in this picture, by eye.
    assert left < 223 < left + width and top < 120 < top + height and 50 < width < 160 and 70 < height < 190


def test_predict_in_words_says_what_the_json_says(run, astronaut):
    (face,) = json.loads(succeeded(run("predict", astronaut, "--json")))["faces"]
    lines = succeeded(run("predict", astronaut)).splitlines()
    assert lines[0] == f"{astronaut}: 1 faces"
    shown = f"{face['expression']} {face['confidence']:.0%}"
    assert re.fullmatch(rf"  {shown}( \(unsure[^)]*\))? at \d+ \d+ \d+ \d+", lines[1])
    assert len(lines) == 2


def test_predict_with_the_other_label_set(run, astronaut):
    (face,) = json.loads(succeeded(run("predict", astronaut, "--json", "--labels", "ferplus")))["faces"]
    check_face(face, FERPLUS_CLASSES)


def test_the_other_detector_asks_for_its_weights(run, astronaut):
    result = run("predict", astronaut, "--json", "--detector", "yunet")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ") and "--detector-model" in result.stderr


def test_predict_takes_a_whole_picture_as_the_face(run, tmp_path):
    write_folder(drawn_faces(7, seed=4), tmp_path)
    files = sorted(tmp_path.rglob("*.png"))
    documents = [json.loads(line) for line in succeeded(run("predict", tmp_path, "--crops", "--json")).splitlines()]
    assert [document["source"] for document in documents] == [str(file) for file in files]
    for document in documents:
        (face,) = document["faces"]
        check_face(face, FER2013_CLASSES)
        assert face["xywh"] == [0, 0, 48, 48]


def test_predict_of_several_sources_keeps_their_order(run, astronaut, clip):
    lines = succeeded(run("predict", clip, astronaut, "--json")).splitlines()
    assert [json.loads(line)["source"] for line in lines] == [str(clip), str(astronaut)]


def test_predict_of_a_video_describes_each_frame(run, clip):
    document = json.loads(succeeded(run("predict", clip, "--json")))
    assert list(document) == ["source", "frames"]
    assert [frame["time"] for frame in document["frames"]] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4], abs=0.005)
    for frame in document["frames"]:
        assert list(frame) == ["time", "faces"]
        (face,) = frame["faces"]
        check_face(face, FER2013_CLASSES)
    assert re.fullmatch(rf"{re.escape(str(clip))}: 5 frames; (\w+ \d(, )?)+\n", succeeded(run("predict", clip)))


def test_predict_annotates_copies_and_leaves_the_originals(run, astronaut, clip, tmp_path):
    inside = tmp_path / "in" / "deep"
    inside.mkdir(parents=True)
    shutil.copy(astronaut, inside)
    shutil.copy(clip, tmp_path / "in")
    before = {path: path.read_bytes() for path in (tmp_path / "in").rglob("*.*")}
    succeeded(run("predict", tmp_path / "in", "--annotate", tmp_path / "out"))
    assert {path: path.read_bytes() for path in (tmp_path / "in").rglob("*.*")} == before
    made = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert made == ["astronaut.mp4", "deep/astronaut.png"]
    assert len(frames_of(tmp_path / "out" / "astronaut.mp4")) == 5
    drawn = np.asarray(Image.open(tmp_path / "out" / "deep" / "astronaut.png").convert("RGB"))
    assert drawn.shape == (512, 512, 3)
    assert not np.array_equal(drawn, np.asarray(Image.open(astronaut).convert("RGB")))


FIELDS = ["kind", "version", "source", "frame", "time", "captured", "size", "group", "faces", "timings_ms"]


def test_live_without_a_window_prints_one_json_line_a_frame(run, clip):
    result = run("live", "--source", clip, "--headless", "--json")
    documents = [json.loads(line) for line in succeeded(result).splitlines()]
    assert len(documents) == 5
    assert result.stderr == "5 frames\n"
    for number, document in enumerate(documents):
        assert list(document) == FIELDS
        assert (document["source"], document["frame"], document["size"]) == (str(clip), number, [512, 512])
        assert document["time"] == pytest.approx(number / 10, abs=0.005)
        (face,) = document["faces"]
        assert face["id"] == 1 and set(face["smoothed"]) == set(FER2013_CLASSES)
        assert sum(face["smoothed"].values()) == pytest.approx(1, abs=1e-5)


def test_live_tells_once_what_it_does(run_process, clip, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    first, second = (run_process("live", "--source", clip, "--headless") for _ in range(2))
    assert "AI Act" in first.stderr and first.stderr.endswith("5 frames\n")
    assert (second.returncode, second.stderr) == (0, "5 frames\n")


def test_a_recorded_session_is_reported_exported_and_deleted(run, clip, tmp_path):
    recorded = run("live", "--source", clip, "--headless", "--record", tmp_path / "kept", "--min-group", "1")
    assert succeeded(recorded) == "" and "get consent from everyone in view" in recorded.stderr
    (session,) = (tmp_path / "kept").iterdir()
    assert [path.name for path in session.iterdir()] == ["session.sqlite"]
    succeeded(run("report", session))
    assert "<html" in (session / "session.html").read_text()
    succeeded(run("report", session, "--export", tmp_path / "told.csv"))
    assert "share_happy" in (tmp_path / "told.csv").read_text()
    times = tmp_path / "times.csv"
    times.write_text("time;name\n0,1;joke\n")
    succeeded(run("report", session, "--marks", times, "--epochs", "-2:5"))
    assert {path.name for path in session.iterdir()} > {"session-epochs.csv", "session-epochs.json"}
    assert "1,joke,file,0.1,angry," in (session / "session-epochs.csv").read_text()
    succeeded(run("report", session, "--marks", times, "--out", tmp_path / "page.html"))
    assert "joke" in (tmp_path / "page.html").read_text()
    succeeded(run("report", session, "--delete"))
    assert not session.exists()
    assert run("report", session).exit_code == 3
    assert run("live", "--source", clip, "--headless", "--keep-video").exit_code == 2


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--epochs", "2"], 2, "expected START:STOP as -2:5, got '2'"),
        (["--epochs", "5:-2"], 2, "expected seconds around 0 that end after it"),
        (["--epochs", "-2:nan"], 2, "expected seconds around 0 that end after it"),
        (["--epochs", "-2:5"], 1, "expected a session with marks, got none; give them with --marks"),
        (["--epochs", "-2:5", "--marks", "times.csv", "--out", "a.xlsx"], 3, "ends in .csv or .parquet"),
        (["--marks", "bad.csv"], 1, "bad.csv: line 2: time: expected seconds"),
        (["--marks", "none.csv"], 1, "none.csv: no such file or directory"),
        (["--offset", "3"], 2, "expected --beside with --offset"),
        (["--beside", "clip.avi"], 1, "expected a recording that browsers play"),
        (["--beside", "none.mp4"], 1, "none.mp4: no such file or directory"),
        (["--delete", "--marks", "times.csv"], 2, "expected no other option with --delete"),
    ],
)
def test_what_a_report_cannot_do_is_said_in_one_line(run, tmp_path, monkeypatch, options, code, words):
    from moodspace.realtime.session.recorder import SessionRecorder
    from tests.realtime.session.recordings import CLASSES, STARTED, group

    with SessionRecorder(tmp_path / "kept", classes=CLASSES, source="camera 0", now=lambda: STARTED) as recorder:
        for second in range(9):
            recorder.add(group(5, time=float(second)), STARTED + second)
    monkeypatch.chdir(tmp_path)
    Path("times.csv").write_text("time,name\n3,joke\n")
    Path("bad.csv").write_text("time,name\nsoon,joke\n")
    refused = run("report", "kept", *options)
    assert refused.exit_code == code and words in " ".join(refused.stderr.split()).replace("│ ", ""), refused.stderr
    assert [path.name for path in Path("kept").iterdir()] == ["session.sqlite"]


@pytest.mark.parametrize("stream", ["NAME", "lsl:", "osc:9000"])
def test_marks_come_from_a_named_stream(run, clip, tmp_path, stream):
    refused = run("live", "--source", clip, "--headless", "--record", tmp_path / "a", "--marks-from", stream)
    assert refused.exit_code == 2 and "expected lsl:NAME" in refused.stderr
    assert run("live", "--source", clip, "--headless", "--marks-from", "lsl:NAME").exit_code == 2


def test_live_without_json_prints_nothing_to_stdout(run, clip):
    assert succeeded(run("live", "--source", clip, "--headless")) == ""


def test_doctor_finds_all_that_is_here(run):
    result = run("doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(succeeded(result))}
    assert all(set(finding) == {"what", "state", "found", "remedy", "exit_code"} for finding in findings.values())
    for what in ("python", "numpy", "opencv-python", "faiss-cpu", "bundle", "gallery", "detector"):
        assert findings[what]["state"] == "ok", findings[what]
    assert str(GALLERY) in findings["gallery"]["found"]
    for finding in findings.values():
        assert finding["state"] == "ok" or finding["remedy"]
    words = succeeded(run("doctor")).splitlines()
    assert [line.split(":")[0].split()[-1] for line in words] == list(findings)


def test_doctor_tells_a_missing_bundle(run, tmp_path):
    result = run("doctor", "--bundle", tmp_path / "none", "--json")
    assert result.exit_code == 3
    (bundle,) = [finding for finding in json.loads(result.stdout) if finding["what"] == "bundle"]
    assert bundle["state"] == "broken" and "train" in bundle["remedy"]


@pytest.mark.parametrize("arguments", [["predict", "--json"], ["live", "--headless", "--source"]])
def test_recognising_loads_only_the_runtime_set(arguments, astronaut):
    heavy = ["tensorflow", "keras", "jax", "umap", "sklearn", "streamlit", "pyarrow", "pandas", "matplotlib", "plotly"]
    heavy += ["skimage", "scipy.stats", "rich.progress"]
    code = (
        "import sys, cli\n"
        "try:\n    cli.app(sys.argv[1:])\n"
        "finally:\n    sys.stderr.write('loaded:' + ','.join(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, str(astronaut)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.rpartition("loaded:")[2].split(","))
    assert {"numpy", "cv2", "faiss", "ai_edge_litert"} <= loaded
    assert loaded.isdisjoint(heavy)


def test_it_runs_from_any_folder(run_process, astronaut, tmp_path):
    done = run_process("predict", astronaut, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["faces"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_leaves_early_is_no_error(astronaut):
    line = f'"{sys.executable}" cli.py predict "{astronaut}" "{astronaut}" --json | true'
    done = subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""


def test_a_recording_of_too_few_faces_says_that_it_kept_nothing(run, clip, tmp_path):
    recorded = run("live", "--source", clip, "--headless", "--record", tmp_path / "kept")
    succeeded(recorded)
    assert "once at least 5 faces can be read" in recorded.stderr
    told = "nothing was recorded: fewer than 5 faces could be read; see --min-group and --individuals"
    assert recorded.stderr.splitlines()[-1] == told


@pytest.fixture(scope="module")
def strange(tmp_path_factory, astronaut):
    """A face in a video, then a grey one without any, interlaced, and one that ends early."""
    folder = tmp_path_factory.mktemp("strange") / "in"
    folder.mkdir()
    face = cv2.imread(str(astronaut))[10:370, :480]
    write_video(folder / "1.mp4", [face] * 6)
    grey = [np.full_like(face, 128)] * 6
    write_video(folder / "2.mpg", grey, "mpeg2video", options=INTERLACED)
    write_video(folder / "3.mpg", [face] * 6, "mpeg2video", options=INTERLACED)
    whole = write_video(
        folder / "4.avi", [np.roll(face, 3 * n, axis=1) for n in range(12)], "mpeg4", options={"g": "3"}
    )
    cut(whole, 0.7, "5.avi")
    whole.unlink()
    (folder / "notes.txt").write_text("words")
    return folder


def test_videos_show_their_own_faces_and_what_is_missing_is_told(run, strange, tmp_path):
    done = run("predict", strange, "--json", "--annotate", tmp_path / "out")
    documents = {document["source"][-5:]: document for document in map(json.loads, done.stdout.splitlines())}
    shown = {name: [len(frame["faces"]) for frame in one["frames"]] for name, one in documents.items()}
    assert shown["1.mp4"] == shown["3.mpg"] == [1] * 6 and shown["2.mpg"] == [0] * 6
    assert 0 < len(shown["5.avi"]) < 12 and set(shown["5.avi"]) == {1}
    missing = documents["5.avi"]["incomplete"]
    assert missing.startswith(f"expected a whole video, got one that ends early; {len(shown['5.avi'])} frames")
    assert done.exit_code == 1 and f"{strange / '5.avi'}: {missing}" in done.stderr
    assert "left out 1 other file, neither a picture nor a video: notes.txt" in done.stderr
    # Drawn on nothing, the copy of the grey video is grey.
    assert max(np.ptp(frame) for frame in frames_of(tmp_path / "out" / "2.mp4")) <= 8


def test_live_tells_of_a_video_that_ends_early(run, strange):
    done = run("live", "--source", strange / "5.avi", "--headless", "--fast")
    assert done.exit_code == 1
    assert "5.avi: expected a whole video, got one that ends early; " in done.stderr


def test_one_bad_name_stops_no_other(run, strange, tmp_path, astronaut):
    done = run("predict", tmp_path / "none.jpg", strange / "1.mp4", astronaut)
    assert done.exit_code == 1 and len([line for line in done.stdout.splitlines() if not line.startswith(" ")]) == 2
    assert f"skipped {tmp_path / 'none.jpg'}: " in done.stderr and "1 skipped" in done.stderr
    assert run("predict", tmp_path / "none.jpg", tmp_path / "neither.jpg").exit_code == 4


def test_teach_and_similar_know_a_picture_by_its_content(run, tmp_path, astronaut):
    for name in ("a.jfif", "b", "c.mp4"):
        shutil.copy(astronaut, tmp_path / name)
    write_video(tmp_path / "d.jpg", [np.zeros((48, 64, 3), np.uint8)] * 3, kind="mp4")
    done = run("teach", tmp_path / "a.jfif", tmp_path / "d.jpg", "--label", "happy")
    assert done.exit_code == 1 and "happy: 1 taught" in done.stdout
    assert "d.jpg: expected a picture, got a video; take a picture out of it" in done.stderr
    for name in ("b", "c.mp4"):
        assert run("similar", tmp_path / name).exit_code == 0


@pytest.fixture
def at_rest(tmp_path, shipped):
    """A folder of pictures of one drawn person at rest."""
    (tmp_path / "rest").mkdir()
    model = ms.load(shipped)
    for number, face in enumerate(person_at_rest(lambda face: str(model.predict(face[None])[0]), 3)):
        Image.fromarray(face).save(tmp_path / "rest" / f"{number}.png")
    return tmp_path / "rest"


def test_predict_takes_a_persons_pictures_at_rest_as_zero(run, tmp_path, at_rest):
    Image.fromarray(draw_person("angry", 4, np.random.default_rng(2))).save(tmp_path / "angry.png")
    plain = json.loads(succeeded(run("predict", tmp_path / "angry.png", "--crops", "--json")))["faces"][0]
    found = run("predict", tmp_path / "angry.png", "--crops", "--json", "--baseline", at_rest)
    face = json.loads(succeeded(found))["faces"][0]
    assert face["baseline"] is True and "baseline" not in plain
    assert face["probabilities"] != plain["probabilities"]


def test_predict_refuses_a_smile_as_baseline(run, astronaut):
    result = run("predict", astronaut, "--baseline", astronaut)
    assert result.exit_code == 1 and "the face shows happy" in result.stderr and result.stdout == ""


def test_the_first_seconds_of_a_video_are_the_baseline(run, clip):
    """The clip shows a smile from its beginning on, so it makes no baseline and is skipped."""
    result = run("predict", clip, "--baseline", "FIRST:1")
    assert result.exit_code == 1 and "is not at rest" in result.stderr and "1 skipped" in result.stderr


@pytest.mark.parametrize("wrong", ["FIRST:0", "FIRST:two"])
def test_a_wrong_baseline_is_refused(run, astronaut, wrong):
    result = run("predict", astronaut, "--baseline", wrong)
    assert result.exit_code in (1, 2, 4) and "expected" in result.stderr and result.stdout == ""


def test_a_kept_baseline_is_shown_used_and_deleted(run, tmp_path, at_rest, shipped, astronaut):
    model = ms.load(shipped)
    crops = np.stack([np.asarray(Image.open(path)) for path in sorted(at_rest.iterdir())])
    kept = tmp_path / "me.json"
    model.baseline(crops).save(kept)
    shown = succeeded(run("baseline", kept))
    assert "the mean of 3 frames" in shown and "neutral" in shown
    document = json.loads(succeeded(run("baseline", kept, "--json")))
    assert document["frames"] == 3 and sum(one["with"] for one in document["at_rest"].values()) == pytest.approx(
        1, abs=1e-4
    )
    assert json.loads(succeeded(run("predict", astronaut, "--json", "--baseline", kept)))["faces"][0]["baseline"]
    kept.write_text(kept.read_text().replace('"encoder": "', '"encoder": "x'))
    for command in (("baseline", kept), ("predict", astronaut, "--baseline", kept),
                    ("live", "--headless", "--source", astronaut, "--baseline-file", kept)):  # fmt: skip
        result = run(*command)
        assert result.exit_code == 3 and "one of another" in result.stderr
    assert succeeded(run("baseline", kept, "--delete")) == f"deleted {kept}\n" and not kept.exists()
    assert run("baseline", kept).exit_code == 3


def test_live_measures_each_new_face_and_refuses_a_smile(run, clip, tmp_path):
    result = run(
        "live", "--headless", "--json", "--source", clip, "--baseline", "0.5", "--baseline-file", tmp_path / "me.json"
    )
    documents = [json.loads(line) for line in succeeded(result).splitlines()]
    assert {face["baseline"] for document in documents for face in document["faces"]} == {False}
    assert not (tmp_path / "me.json").exists()
