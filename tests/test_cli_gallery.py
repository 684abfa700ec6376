"""What a user teaches by index, teach, forget, gallery and similar, and that predictions know it at once."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moodspace.classifier.bundle.bundle import Bundle, load_bundle, update_bundle
from moodspace.embeddings.data.labels import FER2013_CLASSES
from moodspace.embeddings.encoder import EncoderSpec
from moodspace.index.gallery import Gallery
from moodspace.index.taught.gallery import FILE
from moodspace.index.taught.user_gallery import open_gallery
from tests.conftest import ROOT
from tests.drawn_faces import drawn_faces, write_folder, write_parquet

SPEC = Bundle.encoder_spec.fget


def of_another_time(bundle: Bundle) -> EncoderSpec:
    """The spec of a bundle whose encoder was another one."""
    return replace(SPEC(bundle), fingerprint="of another time")


@pytest.fixture
def own(tmp_path: Path) -> list[object]:
    """Options that name a gallery of the test's own."""
    return ["--gallery", tmp_path / "gallery"]


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Fourteen drawn faces in class folders."""
    write_folder(drawn_faces(14, seed=2), tmp_path / "faces")
    return tmp_path / "faces"


def told(result, code: int = 0):
    """The one JSON document that a command printed."""
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_a_taught_picture_is_known_at_once_and_forgotten_on_request(run, shipped, astronaut, own):
    before = told(run("predict", astronaut, *own, "--json"))["faces"][0]
    taught = told(run("teach", "--label", "Star-Struck", astronaut, *own, "--json"))
    assert taught["label"] == "star-struck" and taught["classes"] == {"star-struck": 1}
    face = told(run("predict", astronaut, *own, "--json"))["faces"][0]
    assert face["expression"] == "star-struck" and face["confidence"] > 0.9 and not face["unknown"]
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    first = face["neighbors"][0]
    assert (first["id"], first["label"], first["source"]) == (taught["ids"][0], "star-struck", str(astronaut))
    assert told(run("forget", "--last", *own, "--json")) == {"forgotten": 1, "left": 0}
    assert told(run("predict", astronaut, *own, "--json"))["faces"][0] == before


def test_teaching_says_what_it_did(run, shipped, astronaut, own, tmp_path):
    Image.fromarray(np.tile(np.asarray(Image.open(astronaut)), (1, 2, 1))).save(tmp_path / "two.png")
    result = run("teach", "--label", "wink", tmp_path / "two.png", *own)
    left_out = "1 left out beside the largest"
    assert result.stdout == f"wink: 1 taught as 1000000000, {left_out}; 1 in all\n", result.stderr


def test_teaching_twice_and_otherwise(run, shipped, astronaut, own):
    run("teach", "--label", "wink", astronaut, *own)
    again = told(run("teach", "--label", "wink", astronaut, *own, "--json"))
    assert again["ids"] == [] and again["known"] == [str(astronaut)]
    other = run("teach", "--label", "happy", astronaut, *own)
    assert other.exit_code == 1 and "taught as wink; forget that one first" in other.stderr


def test_index_follows_a_folder(run, shipped, faces, own):
    planned = told(run("index", faces, "--crops", "--dry-run", *own, "--json"))
    assert planned["added"] == 14 and planned["dry_run"] and not (own[1]).exists()
    first = told(run("index", faces, "--crops", *own, "--json"))
    assert (first["added"], first["failed"]) == (14, [])
    (gone,) = list((faces / "sad").iterdir())[:1]
    gone.unlink()
    kept = next((faces / "fear").iterdir())
    (faces / "fear" / "copy.png").write_bytes(kept.read_bytes())
    changed = next((faces / "happy").iterdir())
    Image.new("L", (48, 48), 77).save(changed)
    (faces / "confused").mkdir()
    Image.effect_noise((48, 48), 80).save(faces / "confused" / "new.png")
    second = told(run("index", *own, "--json"))
    counts = {name: second[name] for name in ("added", "changed", "removed", "unchanged")}
    assert counts == {"added": 1, "changed": 1, "removed": 1, "unchanged": 12}
    assert [Path(one["source"]).name for one in second["duplicate"]] == ["copy.png"]
    summary = told(run("gallery", "show", *own, "--json"))
    assert summary["faces"] == 14 and summary["classes"]["confused"] == 1
    assert summary["folders"] == {str(faces): "crops"}
    assert told(run("gallery", "verify", *own, "--json")) == {"faces": 14, "problems": []}


def test_what_failed_is_named_and_the_rest_is_kept(run, shipped, faces, own):
    (faces / "sad" / "broken.jpg").write_text("no picture")
    result = run("index", faces, "--crops", *own)
    assert result.exit_code == 1 and "broken.jpg" in result.stderr
    assert result.stdout == "14 added, 0 changed, 0 removed, 0 unchanged, 1 failed\n"


def test_ctrl_c_keeps_what_is_done_and_the_next_run_goes_on(run, shipped, tmp_path, own):
    rng = np.random.default_rng(0)
    (tmp_path / "faces" / "happy").mkdir(parents=True)
    for number in range(300):
        Image.fromarray(rng.integers(0, 256, (48, 48), np.uint8)).save(tmp_path / f"faces/happy/{number}.png")
    line = [sys.executable, "cli.py", "index", tmp_path / "faces", "--crops", "--workers", "2", *own]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    with process:
        while process.poll() is None and not faces_in(own[1]):
            time.sleep(0.01)
        # As a terminal does, which tells the workers, too.
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=30)
    assert process.returncode == 130 and said == (b"", b"")
    done = faces_in(own[1])
    assert 0 < done < 300
    report = told(run("index", *own, "--json"))
    assert (report["added"], report["unchanged"]) == (300 - done, done)


def faces_in(folder: Path) -> int:
    """How many faces a gallery has that another process may be making right now."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{folder}/{FILE}?mode=ro", uri=True)) as file:
            return file.execute("SELECT count(*) FROM faces").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def test_what_was_forgotten_stays_out_until_its_folder_is_forgotten_and_indexed_anew(run, shipped, faces, own):
    run("index", faces, "--crops", *own)
    assert told(run("forget", "--label", "happiness", *own, "--json"))["forgotten"] == 2
    assert told(run("index", *own, "--json"))["forgotten"] == 2
    full = told(run("index", "--full", *own, "--json"))
    assert (full["added"], full["forgotten"]) == (0, 2)
    run("forget", "--source", faces, *own)
    assert told(run("index", faces, "--crops", *own, "--json"))["forgotten"] == 0
    assert told(run("forget", "--source", faces, *own, "--json"))["left"] == 0
    assert run("index", *own).exit_code == 1


def test_a_gallery_travels_as_parquet(run, shipped, faces, own, tmp_path):
    pytest.importorskip("pyarrow")
    run("index", faces, "--crops", *own)
    assert run("gallery", "export", tmp_path / "taught.parquet", *own).exit_code == 0
    other = ["--gallery", tmp_path / "other"]
    for added, known in ((14, 0), (0, 14)):
        result = run("gallery", "import", tmp_path / "taught.parquet", *other)
        assert result.stdout == f"{added} faces added, {known} known already\n"
    classes = [told(run("gallery", "show", *where, "--json"))["classes"] for where in (own, other)]
    assert classes[0] == classes[1]


def test_similar_faces_come_from_both_galleries(run, shipped, astronaut, own, tmp_path):
    run("teach", "--label", "star-struck", astronaut, *own)
    found = told(run("similar", astronaut, "-k", "5", "--sheet", tmp_path / "sheet.png", *own, "--json"))["similar"]
    assert [one["taught"] for one in found].count(True) == 1 and len(found) == 5
    best = max(found, key=lambda one: one["similarity"])
    assert best["similarity"] == pytest.approx(1, abs=1e-3)
    assert {one["label"] for one in found} >= {"star-struck", "happy"}
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 500


def test_full_rebuilds_for_another_encoder(run, shipped, faces, astronaut, own, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Bundle, "encoder_spec", property(of_another_time))
        run("index", faces, "--crops", *own)
        run("teach", "--label", "star-struck", astronaut, *own)
    refused = run("index", *own)
    assert refused.exit_code == 3 and "index --full" in refused.stderr
    rebuilt = told(run("index", "--full", *own, "--json"))
    assert (rebuilt["added"], rebuilt["failed"]) == (15, [])
    summary = told(run("gallery", "show", *own, "--json"))
    assert summary["faces"] == 15 and summary["folders"] == {str(faces): "crops"}
    assert [path.name for path in own[1].parent.glob("gallery.*")] == ["gallery.of anoth"]


def test_a_gallery_of_another_encoder_stops_only_who_asked_for_it(run, shipped, astronaut, tmp_path, monkeypatch):
    from moodspace.index.taught.user_gallery import default_gallery

    monkeypatch.delenv("MOODSPACE_GALLERY")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(Bundle, "encoder_spec", property(of_another_time))
        assert run("teach", "--label", "wink", astronaut).exit_code == 0
    result = run("predict", astronaut, "--json")
    assert told(result)["faces"][0]["expression"] == "happy"
    assert "continuing without your taught faces" in result.stderr
    assert run("predict", astronaut, "--gallery", default_gallery()).exit_code == 3


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (["forget"], 2, "exactly one of"),
        (["forget", "--label", "a", "--last"], 2, "exactly one of"),
        (["forget", "--label", "a"], 3, "teach it a face first"),
        (["gallery", "show"], 3, "teach it a face first"),
        (["gallery"], 3, "teach it a face first"),
        (["gallery", "export", "x.parquet"], 3, "teach it a face first"),
        (["index"], 1, "name one"),
        (["index", "nowhere"], 1, "nowhere"),
        (["teach", "--label", " ", "x.png"], 2, "name of a class"),
        (["teach", "--label", "a", "no-such.png"], 1, "no-such.png"),
        (["similar", "no-such.png"], 4, "no-such.png"),
        (["similar", "no-such.png", "--sheet", "sheet.xyz"], 2, "ends in .png"),
        (["index", ".", "--engine", "magic"], 2, "processes or ray"),
    ],
)
def test_bad_input_is_refused_in_words(run, shipped, tmp_path, monkeypatch, line, code, words):
    monkeypatch.setenv("MOODSPACE_GALLERY", str(tmp_path / "none"))
    result = run(*line)
    said = " ".join(result.stderr.replace("│", " ").split())
    assert result.exit_code == code, said
    assert words in said and "Traceback" not in said
    assert result.stdout == "" or line[0] == "teach"
    assert line[0] == "teach" or not (tmp_path / "none").exists()


def test_a_read_only_gallery_is_read_and_not_written(run, shipped, astronaut, own):
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind root")
    run("teach", "--label", "wink", astronaut, *own)
    own[1].chmod(0o500)
    try:
        assert told(run("predict", astronaut, *own, "--json"))["faces"][0]["expression"] == "wink"
        assert run("forget", "--last", *own).exit_code == 3
    finally:
        own[1].chmod(0o700)


def test_pictures_are_kept_where_asked_for(run, shipped, astronaut, own, faces):
    for extra, kept in (([], 0), (["--keep-pictures"], 1)):
        ids = told(run("teach", "--label", "wink", astronaut, *extra, *own, "--json"))["ids"]
        with opened_gallery(own, shipped) as gallery:
            assert len(gallery.pictures(ids)) == kept
        run("forget", "--last", *own)
    told(run("index", faces, "--crops", "--keep-pictures", *own, "--json"))
    with opened_gallery(own, shipped) as gallery:
        (rows,) = gallery.rows()
        pictures = gallery.pictures(rows.ids)
        assert len(pictures) == len(rows) == 14 and gallery.verify() == []
    for number, source in zip(rows.ids.tolist(), rows.sources, strict=True):
        assert (pictures[number] == np.asarray(Image.open(source))).all()


def test_taught_faces_can_be_given_another_class_and_back(run, shipped, astronaut, own):
    ids = told(run("teach", "--label", "wink", astronaut, *own, "--json"))["ids"]
    changed = told(run("gallery", "relabel", "--label", "Smirk", "--id", ids[0], *own, "--json"))
    assert changed["label"] == "smirk" and changed["ids"] != ids
    assert told(run("gallery", "show", *own, "--json"))["classes"] == {"smirk": 1}
    again = run("gallery", "relabel", "--label", "smirk", "--id", changed["ids"][0], *own)
    assert again.exit_code == 1 and "nothing changed" in again.stderr
    run("forget", "--last", *own)
    assert told(run("gallery", "show", *own, "--json"))["classes"] == {"wink": 1}


@pytest.fixture
def drawn_bundle(shipped, tmp_path):
    """The shipped network with drawn faces for a gallery, and their pictures in a file."""
    pytest.importorskip("pyarrow")
    path, faces = shutil.copytree(shipped, tmp_path / "bundle"), drawn_faces(14, seed=4)
    bundle = load_bundle(path)
    labels = {name: np.full(14, -1) for name in bundle.classes}
    embeddings, sources = bundle.encoder.encode(faces.crops).embeddings, np.array(faces.sources, np.str_)
    gallery = Gallery(embeddings, np.arange(14), labels, bundle.classes, sources, np.zeros(14))
    update_bundle(path, gallery=gallery, map_coordinates=embeddings[:, :2].copy())
    write_parquet(faces, tmp_path / "train.parquet")
    return path


def test_whoever_has_the_data_sees_the_gallerys_faces(run, drawn_bundle, astronaut, own, tmp_path):
    gray = (228, 228, 228)  # of a face that is not available
    shares = []
    for extra in ([], ["--pictures", tmp_path / "train.parquet"]):
        result = run("similar", astronaut, "--bundle", drawn_bundle, "--sheet", tmp_path / "s.png", *extra, *own)
        assert result.exit_code == 0, result.output
        with Image.open(tmp_path / "s.png") as sheet:
            shares.append((np.asarray(sheet) == gray).all(axis=2).mean())
    assert shares[0] > 0.3 and shares[1] < 0.05
    assert "14 of 14 gallery faces have a picture" in result.stderr
    out = tmp_path / "map"
    written = run("visualize", "--bundle", drawn_bundle, "--out", out, "--pictures", tmp_path / "train.parquet", *own)
    assert written.exit_code == 0, written.output
    assert "data:image/webp" in (out / "map.html").read_text(encoding="utf-8")
    wrong = run("similar", astronaut, "--pictures", tmp_path / "train.parquet", "--sheet", tmp_path / "s.png", *own)
    assert wrong.exit_code == 1 and "expected the faces of the bundle's gallery, got others" in wrong.stderr


def test_show_tells_how_well_the_classes_separate(run, shipped, faces, own):
    told(run("index", faces, "--crops", *own, "--json"))
    document = told(run("gallery", "show", *own, "--json"))["separation"]
    assert set(document) == set(FER2013_CLASSES)
    for one in document.values():
        assert one["examples"] == one["tested"] == 2
        assert one["right"] + one["unsure"] + sum(one["confused"].values()) == 2
    lines = run("gallery", "show", *own).stdout.splitlines()
    (line,) = [line for line in lines if line.strip().startswith("happy")]
    assert line.endswith(document["happy"]["summary"])


def opened_gallery(own, shipped):
    return open_gallery(own[1], load_bundle(shipped).encoder_spec, read_only=True)
