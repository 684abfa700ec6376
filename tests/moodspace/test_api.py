"""Tests of the public API: what a user of the package imports, with the bundle that ships."""

import doctest
import gc
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import moodspace as ms
from moodspace.cli import app
from moodspace.embeddings.crops import SIZE
from moodspace.realtime.demo import picture_path
from tests.drawn_faces import person_at_rest
from tests.made_videos import write_video

FACE = (slice(10, 370), slice(0, 480))


@pytest.fixture(scope="module")
def model() -> ms.Model:
    return ms.load()


@pytest.fixture(scope="module")
def rgb() -> np.ndarray:
    return ms.read(picture_path())


@pytest.fixture(scope="module")
def crops(model: ms.Model) -> np.ndarray:
    return model.crops(picture_path())


def test_importing_is_light_and_every_name_is_there() -> None:
    code = "import sys, moodspace as ms; print([m for m in ('numpy', 'cv2', 'typer', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "[]", done.stderr
    for name in ms.__all__:
        assert getattr(ms, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        ms.nothing  # noqa: B018


def test_a_picture_is_recognized_however_it_comes(model: ms.Model, rgb: np.ndarray) -> None:
    found = ms.recognize(picture_path(), model=model)
    assert [face.expression for face in found] == ["happy"] and len(found) == 1
    face = found[0]
    assert face.confidence == pytest.approx(max(face.probabilities.values()))
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert face.neighbors[0].similarity >= face.neighbors[-1].similarity
    for picture, channels in (
        (str(picture_path()), None), (picture_path().read_bytes(), None), (rgb, "rgb"), (rgb[..., ::-1], "bgr"),
    ):  # fmt: skip
        assert model.recognize(picture, channels=channels)[0].probabilities == face.probabilities
    assert model.recognize(rgb.mean(axis=2).astype(np.uint8))[0].expression == "happy"


def test_results_convert(model: ms.Model) -> None:
    pytest.importorskip("pandas")
    found = model.recognize(picture_path())
    document = json.loads(json.dumps(found.to_dict()))
    printed = CliRunner().invoke(app, ["predict", str(picture_path()), "--json"])
    assert document == json.loads(printed.stdout)
    assert document["source"] == str(picture_path()) and document["faces"][0]["expression"] == "happy"
    frame = found.to_pandas()
    assert list(frame["expression"]) == ["happy"] and frame["happy"][0] == found[0].confidence


@pytest.mark.parametrize(
    ("picture", "channels", "words"),
    [
        (np.zeros((9, 9, 3), np.uint8), None, "channels: expected 'rgb' or 'bgr' for a color array, got None"),
        (np.zeros((9, 9, 4), np.uint8), "rgb", r"expected uint8 of shape \(h, w\) or \(h, w, 3\), got uint8 of"),
        (np.zeros((9, 9, 3)), "rgb", "got float64"),
        ("nosuch.jpg", None, "nosuch.jpg: expected a picture"),
        ("nosuch.jpg", "rgb", "channels: expected none for a file, got 'rgb'"),
    ],
)
def test_what_is_no_picture_is_refused(model: ms.Model, picture, channels, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        model.recognize(picture, channels=channels)


def test_a_video_is_recognized_frame_by_frame(model: ms.Model, rgb: np.ndarray, tmp_path: Path) -> None:
    face = np.ascontiguousarray(rgb[..., ::-1][FACE])
    clip = write_video(tmp_path / "clip.mp4", [face] * 4, fps=10)
    shown = list(ms.recognize_video(clip, every=2, model=model))
    assert [round(one.time, 2) for one in shown] == [0.0, 0.2]
    assert [one[0].expression for one in shown] == ["happy", "happy"]
    times, frames = zip(*ms.read_video(clip), strict=True)
    assert len(times) == 4 and frames[0].shape == face.shape
    with pytest.raises(ms.MoodspaceError, match=r"expected a number of frames, .*got '0'"):
        next(model.recognize_video(clip, every=0))
    assert [round(one.time, 2) for one in model.recognize_video(clip, every="0.3s")] == [0.0, 0.3]


def test_videos_become_a_table_that_knows_what_was_taught(rgb: np.ndarray, tmp_path: Path) -> None:
    face = np.ascontiguousarray(rgb[..., ::-1][FACE])
    clip = write_video(tmp_path / "clip.mp4", [face] * 4, fps=10)
    with ms.load() as model:
        (summary,) = ms.recognize_videos([clip], tmp_path / "a.csv", every=2, model=model)
        assert (summary.rows, summary.shares["happy"], summary.seconds) == (2, 1.0, 0.4)
        before = (tmp_path / "a.csv").read_bytes()
        (again,) = model.recognize_videos([str(clip)], tmp_path / "a.csv", every="2", workers=1)
        assert again == summary and (tmp_path / "a.csv").read_bytes() == before
        model.teach(np.concatenate([model.crops(frame, channels="rgb") for _, frame in ms.read_video(clip)]), "proud")
        with pytest.raises(ms.MoodspaceError, match=r"expected .*, as its 1 finished video had, got"):
            model.recognize_videos([clip], tmp_path / "a.csv", every=2)
        (taught,) = model.recognize_videos([clip], tmp_path / "a.csv", every=2, restart=True)
        assert taught.shares["proud"] == 1.0
        (in_process,) = model.recognize_videos([clip], tmp_path / "b.csv", every=2, workers=1)
        assert in_process == taught and (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_crops_are_classified_as_by_scikit_learn(model: ms.Model, crops: np.ndarray) -> None:
    assert crops.shape == (1, SIZE, SIZE) and list(model.predict(crops)) == ["happy"]
    proba = model.predict_proba(crops)
    assert proba.shape == (1, len(model.classes_)) and proba.sum() == pytest.approx(1, abs=1e-5)
    assert model.classes_[proba.argmax()] == "happy"
    similarities, ids = model.kneighbors(crops, 3)
    assert similarities.shape == ids.shape == (1, 3) and (np.diff(similarities) <= 0).all()
    assert model.predict_proba(np.zeros((0, SIZE, SIZE), np.uint8)).shape == (0, len(model.classes_))
    with pytest.raises(ValueError, match=r"crops: expected uint8 of shape \(n, 48, 48\), got float64"):
        model.predict(np.zeros((1, SIZE, SIZE)))


def test_the_encoder_does_not_care_for_the_size_of_a_batch(crops: np.ndarray) -> None:
    encoder = ms.Encoder()
    many = np.repeat(crops, 5, axis=0)
    whole, parts = encoder.encode(many), encoder.encode(many, batch_size=2)
    assert whole.embeddings.shape == (5, encoder.dim)
    assert parts.embeddings == pytest.approx(whole.embeddings, abs=1e-5)
    assert set(whole.logits) == set(encoder.classes)
    with pytest.raises(ValueError, match="batch_size: expected 1 or more, got 0"):
        encoder.encode(many, batch_size=0)


def test_what_is_taught_counts_at_once_and_is_forgotten(crops: np.ndarray) -> None:
    with ms.load() as model:
        upside_down = np.ascontiguousarray(crops[:, ::-1])
        before = model.predict_proba(upside_down)
        ids = model.teach(upside_down, " Confused ")
        assert list(model.predict(upside_down)) == ["confused"] and model.classes_[-1] == "confused"
        assert model.gallery.labels == {"confused": 1} and len(model.gallery) == 1
        similarities, found = model.gallery.kneighbors(model.embed(upside_down), 1)
        assert found.tolist() == [ids] and similarities[0, 0] == pytest.approx(1, abs=1e-3)
        assert model.forget(ids=ids) == 1
        assert model.predict_proba(upside_down) == pytest.approx(before, abs=1e-6)
        model.partial_fit(upside_down, ["confused"])
        assert model.undo() == 1 and model.undo() == 0
        assert model.teach([picture_path()], "smiling") and model.forget("smiling") == 1
        with pytest.raises(ms.MoodspaceError, match="expected a face, found none"):
            model.teach([np.zeros((99, 99, 3), np.uint8)], "nobody")


def test_several_faces_are_one_lesson_with_pictures_if_asked(crops: np.ndarray) -> None:
    with ms.load() as model:
        faces = np.concatenate([np.ascontiguousarray(crops[:, ::-1]), np.ascontiguousarray(crops[:, ::-1, ::-1])])
        ids = model.teach(faces, ["Wink", "smirk"], keep_pictures=True)
        assert model.gallery.labels == {"smirk": 1, "wink": 1}
        assert (model.gallery.pictures(ids)[ids[1]] == faces[1]).all()
        new = model.gallery.relabel(ids[:1], "smirk")
        assert model.gallery.labels == {"smirk": 2} and (model.gallery.pictures(new)[new[0]] == faces[0]).all()
        assert model.undo() == 1 and model.gallery.labels == {"smirk": 1, "wink": 1}
        told = model.separation()
        assert told["wink"].examples == 1 and told["wink"].tested == 0
        assert model.undo() == 2 and model.separation() == {}
        with pytest.raises(ValueError, match="labels: expected 2, one a face, got 1"):
            model.teach(faces, ["wink"])
        assert model.gallery.pictures(model.teach(faces, "wink")) == {}
        assert model.teach([], "wink") == []


def test_a_held_expression_is_collected_from_frames(model: ms.Model, rgb: np.ndarray) -> None:
    def frames(seconds: float) -> Iterator[tuple[float, np.ndarray]]:
        for at in np.arange(0, seconds, 0.2).tolist():
            yield at, np.ascontiguousarray(np.roll(rgb, round(6 * at), axis=1))
            yield at + 0.1, np.zeros_like(rgb)  # without a face

    found = model.collect(frames(8), start=1, most=4)
    assert found.shape == (4, SIZE, SIZE) and found.dtype == np.uint8
    assert len({one.tobytes() for one in found}) == 4
    assert model.collect(frames(1), start=2).shape == (0, SIZE, SIZE)
    assert len(model.collect(frames(3), start=0.9, end=1.1)) == 1


def test_a_gallery_is_kept_exported_and_imported(model: ms.Model, crops: np.ndarray, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with ms.Gallery(tmp_path / "mine", bundle=model.bundle) as mine:
        mine.add(model.embed(crops), ["grin"])
        assert mine.export(tmp_path / "mine.parquet") == 1
    with ms.Gallery(str(tmp_path / "other"), bundle=model.bundle) as other:
        assert other.import_(tmp_path / "mine.parquet") == 1 and other.import_(tmp_path / "mine.parquet") == 0
        assert other.remove("grin") == 1 and len(other) == 0
        with pytest.raises(ValueError, match="expected a label or ids, got both or neither"):
            other.remove()
    with ms.load(gallery=tmp_path / "mine") as again:
        assert again.gallery.labels == {"grin": 1} and "grin" in again.classes_


def test_a_live_pipeline_follows_a_face(model: ms.Model, rgb: np.ndarray) -> None:
    pipeline = model.live()
    assert isinstance(pipeline, ms.LivePipeline)
    frame = np.ascontiguousarray(rgb[..., ::-1])
    ids = [pipeline.process(frame, 0.1 * n).track_ids.tolist() for n in range(3)]
    assert ids[0] == ids[2] and len(ids[0]) == 1


def test_the_map_places_faces(model: ms.Model, crops: np.ndarray) -> None:
    shown = ms.Map(model)
    assert shown.coordinates.shape == (len(model.bundle.index), 2)
    place = shown.place(model.embed(crops))
    assert place.shape == (1, 2) and np.isfinite(place).all()


def test_evaluate_reads_folders(model: ms.Model, crops: np.ndarray, tmp_path: Path) -> None:
    from PIL import Image

    for name, crop in (("happy", crops[0]), ("sad", crops[0][::-1])):
        (tmp_path / name).mkdir()
        Image.fromarray(np.ascontiguousarray(crop)).save(tmp_path / name / "1.png")
    figures = ms.evaluate(tmp_path, model=model).to_json()
    assert figures["n"] == 2 and figures["per_class"]["happy"]["recall"] == 1.0


def test_a_prior_makes_a_class_more_probable(model: ms.Model, crops: np.ndarray, tmp_path: Path) -> None:
    numbers = {str(name): 1.0 for name in model.classes_} | {"sad": 1e6}
    column = list(model.classes_).index("sad")
    (tmp_path / "prior.json").write_text(json.dumps(numbers))
    shifted = ms.load(prior=numbers).predict_proba(crops)
    assert shifted[0, column] > model.predict_proba(crops)[0, column]
    np.testing.assert_allclose(ms.load(prior=tmp_path / "prior.json").predict_proba(crops), shifted)
    np.testing.assert_array_equal(ms.load(prior="data").predict_proba(crops), model.predict_proba(crops))
    with pytest.raises(ms.MoodspaceError, match="prior: expected a number for each of"):
        ms.load(prior={"sad": 1})


def test_wrong_bundles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ms.MoodspaceError) as refused:
        ms.load(tmp_path)
    assert refused.value.exit_code == 3
    with pytest.raises(ValueError, match="labels: expected one of"):
        ms.load(view="nosuch")


@pytest.mark.parametrize("module", ["moodspace.api", "moodspace.estimator"])
def test_the_examples_in_docstrings_run(module: str) -> None:
    ran = doctest.testmod(importlib.import_module(module))
    assert ran.attempted and not ran.failed


@pytest.mark.parametrize(
    ("package", "extra", "words"),
    [
        ("umap", None, "expected the package umap, got none; install it: pip install "),
        ("scipy.optimize", "map", "expected the package scipy, got none; install it: pip install "),
        ("nosuch", None, "No module named 'nosuch'"),
    ],
)
def test_a_missing_package_names_its_extra(monkeypatch, package, extra, words) -> None:
    from moodspace import errors

    error = ImportError(f"No module named {package!r}", name=package)
    assert errors.explain_import_error(error, extra).startswith(words)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.2.0")
    if package != "nosuch":
        wanted = extra or errors.EXTRAS[package.partition(".")[0]]
        assert errors.explain_import_error(error, extra).endswith(f"pip install 'moodspace[{wanted}]'")


def test_a_model_that_nobody_closes_leaves_nothing_behind(crops: np.ndarray) -> None:
    model = ms.load()
    model.teach(crops, "grin")
    folder = model.gallery.folder
    assert folder.is_dir()
    del model
    gc.collect()
    assert not folder.exists()


def test_live_values_are_yielded_and_sent(model: ms.Model, rgb: np.ndarray, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mp4", [rgb[FACE][..., ::-1]] * 4)
    to = tmp_path / "values.jsonl"
    documents = list(ms.live(tmp_path / "clip.mp4", to=str(to), model=model))
    assert [document["frame"] for document in documents] == [0, 1, 2, 3]
    assert documents[-1]["faces"][0]["expression"] == "happy"
    sent = [json.loads(line) for line in to.read_text().splitlines()]
    # Single faces, and the folder's name, stay in this program.
    assert sent == [document | {"faces": None, "source": "clip.mp4"} for document in documents]


def test_live_sends_what_the_options_say_and_finishes_when_closed(
    model: ms.Model, rgb: np.ndarray, tmp_path: Path
) -> None:
    write_video(tmp_path / "clip.mp4", [rgb[FACE][..., ::-1]] * 4)
    to = tmp_path / "values.parquet"
    options = ms.SinkOptions(individuals=True, min_group=1)
    documents = ms.live(str(tmp_path / "clip.mp4"), to=[str(to)], sending=options, model=model)
    first = next(documents)
    documents.close()
    from pyarrow import parquet

    assert first["group"]["readable"] == 1 and first["group"]["min_group"] == 1
    assert parquet.read_table(to).num_rows == 1
    assert parquet.read_table(tmp_path / "values-faces.parquet").to_pylist()[0]["expression"] == "happy"


def test_live_refuses_a_destination_before_it_opens_the_source(model: ms.Model) -> None:
    with pytest.raises(ValueError, match="--unprotected"):
        next(ms.live("no-such-file.mp4", to="osc://192.0.2.1:9000", model=model))


@pytest.fixture(scope="module")
def at_rest(model: ms.Model) -> np.ndarray:
    """One drawn person at rest."""
    return person_at_rest(lambda face: str(model.predict(face[None])[0]))


def test_a_resting_face_is_zero_for_later_predictions(model: ms.Model, at_rest: np.ndarray, crops: np.ndarray) -> None:
    baseline = model.baseline(at_rest)
    neutral = model.classes_.tolist().index("neutral")
    assert isinstance(baseline, ms.Baseline) and baseline.frames == 5
    before, after = model.predict_proba(at_rest), model.predict_proba(at_rest, baseline=baseline)
    assert np.abs(after - before).max() > 1e-3
    assert after.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert model.predict(at_rest, baseline=baseline).tolist() == [
        str(model.classes_[column]) for column in after.argmax(axis=1)
    ]
    assert model.predict(crops, baseline=baseline).tolist() == ["happy"]
    assert after[:, neutral].shape == (5,)


def test_pictures_say_that_a_baseline_was_used(model: ms.Model, at_rest: np.ndarray) -> None:
    baseline = model.baseline(at_rest)
    plain = model.recognize(picture_path())[0]
    (face,) = model.recognize(picture_path(), baseline=baseline)
    assert face.baseline and face.to_dict()["baseline"] is True
    assert not plain.baseline and "baseline" not in plain.to_dict()
    assert face.probabilities != plain.probabilities
    assert model.live(baseline=baseline).baselines.shifts([]) is None


def test_a_smile_is_no_baseline(model: ms.Model, rgb: np.ndarray, crops: np.ndarray) -> None:
    for faces in (crops, [picture_path()], [rgb], picture_path(), str(picture_path())):
        with pytest.raises(ms.MoodspaceError, match="the face shows happy"):
            model.baseline(faces)
    with pytest.raises(ms.MoodspaceError, match="0 of 0 frames"):
        model.baseline(crops[:0])


def test_a_baseline_is_saved_and_loaded(model: ms.Model, at_rest: np.ndarray, tmp_path: Path) -> None:
    model.baseline(at_rest).save(tmp_path / "me.json")
    loaded = model.load_baseline(tmp_path / "me.json")
    np.testing.assert_allclose(
        model.predict_proba(at_rest, baseline=loaded), model.predict_proba(at_rest, baseline=model.baseline(at_rest)),
        atol=1e-4,
    )  # fmt: skip
