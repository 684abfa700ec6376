"""A crop has the right shape whatever comes, its landmarks stand on the template, and it looks like the frame there."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from moodspace.embeddings.crops import DEFAULT_GEOMETRY, SIZE, CropGeometry, crop_faces, similarities

TEMPLATE = DEFAULT_GEOMETRY.template
positions = st.floats(-1e6, 1e6, width=32)


def placed(scale: float, degrees: float, at: tuple[float, float]) -> npt.NDArray[np.float32]:
    """The template's landmarks as `(1, 5, 2)`, enlarged, turned and with their mean moved."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return ((TEMPLATE - TEMPLATE.mean(axis=0)) @ turn.T * scale + at).astype(np.float32)[None]


def dot(shape: tuple[int, int], at: npt.NDArray[np.float32], radius: float) -> npt.NDArray[np.uint8]:
    """A soft white dot on black."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    grey = 255 * np.exp(-((columns - at[0]) ** 2 + (rows - at[1]) ** 2) / (2 * radius**2))
    return np.repeat(grey.round().astype(np.uint8)[..., None], 3, axis=2)


@settings(deadline=None)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    points=st.lists(st.lists(st.tuples(positions, positions), min_size=5, max_size=5), max_size=3),
    grey=st.integers(0, 255),
)
def test_any_landmarks_in_any_frame_give_crops_of_the_frame(
    height: int, width: int, points: list[list[tuple[float, float]]], grey: int
) -> None:
    frame = np.full((height, width, 3), grey, np.uint8)
    crops = crop_faces(frame, np.array(points, np.float32).reshape(-1, 5, 2))
    assert crops.shape == (len(points), SIZE, SIZE)
    assert crops.dtype == np.uint8
    assert (crops == grey).all()  # beyond the border too: it is repeated


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.7, 2.0, 3.3, 5.0, 9.0])
@pytest.mark.parametrize("degrees", [0, 25, -60, 170])
def test_landmarks_come_to_lie_on_the_template(scale: float, degrees: float) -> None:
    landmarks = placed(scale, degrees, at=(330.3, 301.8))
    for number, target in enumerate(TEMPLATE):
        crop = crop_faces(dot((640, 640), landmarks[0, number], 1.5 * scale), landmarks)[0].astype(float)
        rows, columns = np.mgrid[:SIZE, :SIZE]
        centre = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
        assert np.abs(centre - target).max() < 0.1


def test_a_face_already_in_place_keeps_its_pixels() -> None:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    grey = (128 + 60 * np.sin(rows / 5) + 60 * np.cos(columns / 7)).astype(np.uint8)
    crop = crop_faces(np.repeat(grey[..., None], 3, axis=2), TEMPLATE[None])[0]
    assert np.abs(crop.astype(int) - grey).max() <= 2


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_detail_finer_than_the_crop_is_averaged_away(scale: int) -> None:
    rows, columns = np.mgrid[: 60 * scale, : 60 * scale]
    board = (((rows + columns) % 2) * 255).astype(np.uint8)
    crop = crop_faces(np.repeat(board[..., None], 3, axis=2), placed(scale, 0, at=(30 * scale, 30 * scale)))
    assert np.abs(crop.astype(int) - 127).max() <= 24  # sampling alone gives 0 and 255


def test_each_face_is_cropped_for_itself_and_in_order() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    faces = np.concatenate([placed(2, 10, at=(80, 90)), placed(1, 0, at=(220, 60)), placed(3, -20, at=(299, 199))])
    together = crop_faces(frame, faces)
    for row in range(3):
        np.testing.assert_array_equal(together[row], crop_faces(frame, faces[row : row + 1])[0])


@pytest.mark.parametrize(("bgr", "grey"), [((255, 0, 0), 29), ((0, 255, 0), 150), ((0, 0, 255), 76)])
def test_grey_is_luma_of_bgr(bgr: tuple[int, int, int], grey: int) -> None:
    frame = np.full((100, 100, 3), bgr, np.uint8)
    assert (crop_faces(frame, placed(1, 0, at=(50, 50))) == grey).all()


def test_the_frame_is_left_as_it_is() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    before = frame.copy()
    crop_faces(frame, placed(1.5, 5, at=(40, 40)))
    np.testing.assert_array_equal(frame, before)


@given(st.integers(0, 2**32 - 1))
def test_similarities_agree_with_scikit_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = TEMPLATE[None] * rng.uniform(0.5, 9) + rng.normal(0, 2, (4, 5, 2)) + rng.uniform(-500, 500, 2)
    for points_of_one, found in zip(points, similarities(points, TEMPLATE), strict=True):
        expected = SimilarityTransform.from_estimate(points_of_one, TEMPLATE)
        np.testing.assert_allclose(found, expected.params[:2], rtol=1e-4, atol=1e-4)


def test_points_that_coincide_come_to_lie_on_the_middle() -> None:
    (matrix,) = similarities(np.full((1, 5, 2), 7.0), TEMPLATE)
    np.testing.assert_allclose(matrix @ [7, 7, 1], TEMPLATE.mean(axis=0), rtol=1e-5)


FRAME = np.zeros((10, 10, 3), np.uint8)


@pytest.mark.parametrize(
    ("frame", "landmarks", "argument"),
    [
        (FRAME[..., 0], TEMPLATE[None], "frame_bgr"),
        (FRAME.astype(np.float32), TEMPLATE[None], "frame_bgr"),
        (FRAME[:0], TEMPLATE[None], "frame_bgr"),
        (FRAME, TEMPLATE, "landmarks"),
        (FRAME, np.full((1, 5, 2), np.nan, np.float32), "landmarks"),
    ],
)
def test_what_cannot_be_cropped_is_refused(
    frame: npt.NDArray[np.uint8], landmarks: npt.NDArray[np.float32], argument: str
) -> None:
    with pytest.raises(ValueError, match=f"^{argument}: expected .* got "):
        crop_faces(frame, landmarks)


def test_geometry_survives_json() -> None:
    again = CropGeometry.from_json(DEFAULT_GEOMETRY.to_json())
    np.testing.assert_allclose(again.template, TEMPLATE, atol=5e-4)


@pytest.mark.parametrize(
    "values",
    [
        {},
        [],
        {"template": [[1, 2]] * 4},
        {"template": [[1, 2]] * 5},
        {"template": "eyes"},
        {"template": [[1, 2], [3]]},
        {"template": [[0, 0], [1, 1], [2, 2], [3, 3], [float("nan"), 4]]},
        {"template": TEMPLATE.tolist(), "size": 48},
    ],
)
def test_other_values_are_no_geometry(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        CropGeometry.from_json(values)


def test_the_default_template_is_a_face() -> None:
    left_eye, right_eye, nose, left_mouth, right_mouth = TEMPLATE
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert ((TEMPLATE > 0) & (TEMPLATE < SIZE - 1)).all()
