"""The decoding is checked against maps made by hand, the whole against a picture with one known face."""

from pathlib import Path

import numpy as np
import pytest

from moodspace.arrays import ByteArray
from moodspace.embeddings.detection import detectors
from moodspace.embeddings.detection.detectors import (
    PICTURE_SIZES,
    CenterFace,
    DetectorError,
    YuNet,
    decode_centerface,
    open_detector,
    open_picture_detector,
)
from moodspace.embeddings.detection.faces import Faces
from moodspace.realtime.demo import picture_path
from tests.realtime.fakes import read, resized


@pytest.fixture(scope="module")
def astronaut() -> ByteArray:
    return read(picture_path())


@pytest.fixture(scope="module")
def centerface() -> CenterFace:
    return CenterFace()


def maps(*cells: tuple[int, int, float]) -> list[np.ndarray]:
    """CenterFace's outputs on a 96x64 input with faces 40 wide and 60 tall in these cells (row, column, confidence)."""
    heat, sizes, offsets, landmarks = (np.zeros((1, n, 16, 24), np.float32) for n in (1, 2, 2, 10))
    for row, column, confidence in cells:
        heat[0, 0, row, column] = confidence
        sizes[0, :, row, column] = np.log([60 / 4, 40 / 4])
        offsets[0, :, row, column] = [0.25, -0.5]
        landmarks[0, :, row, column] = [0.4, 0.3, 0.4, 0.7, 0.6, 0.5, 0.8, 0.35, 0.8, 0.65]
    return [heat, sizes, offsets, landmarks]


def test_a_cell_is_decoded_to_box_and_landmarks() -> None:
    heat, sizes, offsets, landmarks = maps((5, 10, 0.8))
    faces = decode_centerface(heat, sizes, offsets, landmarks, 0.5)
    # The centre is at x = (10 - 0.5 + 0.5) * 4 and y = (5 + 0.25 + 0.5) * 4.
    np.testing.assert_allclose(faces.xywh, [[40 - 20, 23 - 30, 40, 60]], atol=1e-4)
    np.testing.assert_allclose(faces.landmarks[0], [[32, 17], [48, 17], [40, 29], [34, 41], [46, 41]], atol=1e-4)
    np.testing.assert_allclose(faces.confidence, [0.8])


def test_of_cells_on_one_face_the_surest_is_kept() -> None:
    heat, sizes, offsets, landmarks = maps((5, 10, 0.7), (5, 11, 0.9), (6, 10, 0.6), (5, 1, 0.95))
    faces = decode_centerface(heat, sizes, offsets, landmarks, 0.5)
    np.testing.assert_allclose(faces.confidence, [0.95, 0.9])
    np.testing.assert_allclose(faces.xywh[:, 0], [-16, 24], atol=1e-4)


def test_nothing_above_the_threshold_is_no_face() -> None:
    heat, sizes, offsets, landmarks = maps((5, 10, 0.5))
    assert len(decode_centerface(heat, sizes, offsets, landmarks, 0.5)) == 0


def check_astronaut(faces: Faces, scale: float = 1.0, left: float = 0.0) -> None:
    """One face, with eyes, nose and mouth where a person sees them in the picture of 512x512."""
    seen = np.array([[203, 100], [248, 102], [224, 128], [207, 141], [239, 143]])
    assert len(faces) == 1
    assert faces.confidence[0] > 0.8
    assert np.abs((faces.landmarks[0] - [left, 0]) / scale - seen).max() < 8
    x, y, width, height = (faces.xywh[0] - [left, 0, 0, 0]) / scale
    assert 165 < x < 190
    assert 35 < y < 65
    assert 80 < width < 115
    assert 105 < height < 145


def test_the_face_in_a_picture_is_found(centerface: CenterFace, astronaut: ByteArray) -> None:
    check_astronaut(centerface.detect(astronaut))


@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_positions_are_pixels_of_the_frame(centerface: CenterFace, astronaut: ByteArray, scale: float) -> None:
    check_astronaut(centerface.detect(resized(astronaut, scale)), scale)


def test_a_frame_of_another_shape_is_not_distorted(centerface: CenterFace, astronaut: ByteArray) -> None:
    wide = np.pad(astronaut, ((0, 0), (388, 30), (0, 0)))
    check_astronaut(centerface.detect(wide), left=388)


def test_landmarks_are_left_to_right_for_the_viewer(centerface: CenterFace, astronaut: ByteArray) -> None:
    (points,) = centerface.detect(np.ascontiguousarray(astronaut[:, ::-1])).landmarks
    assert points[0, 0] < points[2, 0] < points[1, 0]
    assert points[3, 0] < points[2, 0] < points[4, 0]


def test_sizes_for_pictures_find_a_face_that_fills_a_large_one(astronaut: ByteArray) -> None:
    filled = resized(astronaut[55:165, 160:290], 8)
    assert len(CenterFace(working_sizes=PICTURE_SIZES).detect(filled)) == 1


def test_two_passes_find_a_face_once(astronaut: ByteArray) -> None:
    check_astronaut(CenterFace(working_sizes=(480, 320)).detect(astronaut))


@pytest.mark.parametrize("face", [40, 64, 112])
def test_small_faces_in_a_large_picture_are_found_once(astronaut: ByteArray, face: int) -> None:
    small = resized(astronaut[0:260, 110:350], face / 111.5)
    large = np.full((1600, 3200, 3), 120, np.uint8)
    # Among other places where tiles meet: the first begin at 0, 536 and 1072 pixels of a level 1,840 pixels wide.
    places = [(10, 20), (860, 400), (930, 900), (1850, 300), (2700, 1100), (1500, 1300)]
    for left, top in places:
        large[top : top + small.shape[0], left : left + small.shape[1]] = small
    faces = open_picture_detector().detect(large)
    assert len(faces) == len(places)
    assert faces.xywh[:, 3] == pytest.approx(face, rel=0.2)


def test_a_large_picture_without_faces_has_none(astronaut: ByteArray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1350, 3), np.uint8)
    body = np.tile(astronaut[200:], (3, 3, 1))
    for picture in (noise, resized(noise[:60, :90], 15), body):
        assert len(open_picture_detector().detect(picture)) == 0


def test_a_small_picture_is_looked_at_no_more_often(astronaut: ByteArray, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[tuple[int, ...]] = []
    plain = CenterFace._look_above
    monkeypatch.setattr(
        CenterFace,
        "_look_above",
        lambda self, small, threshold: looks.append(small.shape) or plain(self, small, threshold),
    )
    detector = open_picture_detector()
    for scale in (1.0, 1.9):
        check_astronaut(detector.detect(resized(astronaut, scale)), scale)
    assert len(looks) == 2 * len(PICTURE_SIZES)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 3), (64, 64), (480, 640)])
def test_an_empty_frame_of_any_shape_has_no_face(centerface: CenterFace, shape: tuple[int, int]) -> None:
    assert len(centerface.detect(np.full((*shape, 3), 127, np.uint8))) == 0


def test_open_detector_knows_the_names() -> None:
    detector = open_detector("centerface", working_sizes=(160,))
    assert isinstance(detector, CenterFace)
    assert detector.working_sizes == (160,)
    with pytest.raises(DetectorError, match="expected centerface or yunet, got 'haar'"):
        open_detector("haar")
    with pytest.raises(DetectorError, match="expected YuNet's ONNX file, got none"):
        open_detector("yunet")


@pytest.mark.parametrize("engine", [CenterFace, YuNet])
def test_missing_or_broken_weights_are_an_error(engine: type[CenterFace] | type[YuNet], tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="got no such file"):
        engine(tmp_path / "none.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(DetectorError, match=r"broken\.onnx"):
        engine(tmp_path / "broken.onnx")


def test_another_network_is_no_yunet() -> None:
    with pytest.raises(DetectorError, match="expected YuNet's ONNX file, cannot use"):
        YuNet(Path(detectors.__file__).with_name("centerface.onnx"))


def test_centerface_uses_as_many_threads_as_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cv2.getNumThreads", lambda: 5)
    assert CenterFace()._network._threads == 5
