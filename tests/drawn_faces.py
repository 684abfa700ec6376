"""Drawn faces: a small stand-in for FER2013 that belongs to nobody, with writers for every layout the readers know.

A face is an oval with hair, brows, eyes, nose and mouth; the expression moves these as it would move a real face.
Strength, place, size, tilt, light, skin, blur and noise vary at random, so that a small network learns the classes in
half a minute, a linear model does only in part, and the nearest pixels say next to nothing.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.csv import CSV_EMOTIONS
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.embeddings.data.labels import FER2013_CLASSES, FERPLUS_CLASSES, VOTE_COLUMNS

_SCALE = 4  # drawn this much larger, then shrunk, for smooth edges


@dataclass(frozen=True)
class Expression:
    """How far each part of a face moves; all 0 is the face at rest. Lengths in units of about half a face's width."""

    brow_inner: float = 0.0  # up
    brow_outer: float = 0.0  # up
    eyes: float = 0.0  # wider than at rest
    corners: float = 0.0  # up
    one_sided: float = 0.0  # one mouth corner up, the other not
    jaw: float = 0.0  # dropped
    stretch: float = 0.0  # mouth wider than at rest
    lift: float = 0.0  # the whole mouth up, as when the nose wrinkles
    wrinkle: float = 0.0  # lines beside and on the nose
    frown: float = 0.0  # lines between the brows
    teeth: float = 0.0


EXPRESSIONS = {
    "angry": Expression(brow_inner=-0.2, brow_outer=0.06, eyes=-0.02, corners=-0.08, stretch=-0.05, frown=1),
    "contempt": Expression(brow_outer=0.04, eyes=-0.03, one_sided=0.17, stretch=0.02),
    "disgust": Expression(brow_inner=-0.1, brow_outer=-0.05, eyes=-0.07, corners=-0.13, jaw=0.08, lift=0.12, wrinkle=1),
    "fear": Expression(brow_inner=0.18, brow_outer=0.05, eyes=0.08, corners=-0.03, jaw=0.12, stretch=0.1, teeth=0.8),
    "happy": Expression(brow_outer=0.03, eyes=-0.04, corners=0.2, jaw=0.12, stretch=0.12, teeth=1),
    "neutral": Expression(),
    "sad": Expression(brow_inner=0.14, brow_outer=-0.09, eyes=-0.05, corners=-0.16, stretch=-0.06),
    "surprise": Expression(brow_inner=0.19, brow_outer=0.19, eyes=0.1, jaw=0.34, stretch=-0.14),
}


def drawn_faces(n: int, seed: int, classes: tuple[str, ...] = FER2013_CLASSES, *, votes: bool = False) -> LabelledFaces:
    """Draw `n` faces, the classes in turn; the same seed draws the same faces.

    Args:
        n: How many.
        seed: Of everything random.
        classes: Names out of `EXPRESSIONS`, sorted, as `LabelledFaces` has them.
        votes: Whether ten drawn people vote on each face, as in FER+.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int64) % len(classes)
    crops = [draw_face(classes[label], rng) for label in labels]
    return LabelledFaces(
        crops=np.stack(crops) if crops else np.zeros((0, SIZE, SIZE), np.uint8),
        labels=labels,
        classes=classes,
        votes=plausible_votes(labels, classes, seed) if votes else None,
        twin=np.zeros(n, np.bool_),
        sources=tuple(f"{number:05d}.png" for number in range(n)),
    )


def plain_faces(n: int, seed: int, classes: tuple[str, ...] = FER2013_CLASSES) -> LabelledFaces:
    """Draw `n` faces that even a linear model tells apart: the same person upright at full strength, with noise.

    For tests whose subject is what comes after a training: it succeeds for any seed and any rounding.

    Args:
        n: How many.
        seed: Of ground and noise.
        classes: Names out of `EXPRESSIONS`, sorted.
    """
    rng = np.random.default_rng(seed)
    faces = drawn_faces(0, seed, classes)
    labels = np.arange(n, dtype=np.int64) % len(classes)
    crops = np.empty((n, SIZE, SIZE), np.uint8)
    for row, label in enumerate(labels):
        canvas = Image.new("L", (SIZE * _SCALE, SIZE * _SCALE), int(rng.uniform(90, 150)))
        _draw(canvas, EXPRESSIONS[classes[label]], np.random.default_rng(0))
        pixels = np.asarray(canvas.resize((SIZE, SIZE), Image.Resampling.BOX), np.float64)
        crops[row] = np.clip(pixels + rng.normal(0, 8, pixels.shape), 0, 255)
    sources = tuple(f"{number:05d}.png" for number in range(n))
    return replace(faces, crops=crops, labels=labels, twin=np.zeros(n, np.bool_), sources=sources)


def plausible_votes(labels: npt.NDArray[np.int64], classes: tuple[str, ...], seed: int) -> npt.NDArray[np.int16]:
    """Lets ten people vote on each face, `(n, 10)`: most see its label, some are contested, a few are no face."""
    rng = np.random.default_rng(seed)
    columns = np.array([FERPLUS_CLASSES.index(name) for name in classes], np.int64)
    votes = np.zeros((len(labels), len(VOTE_COLUMNS)), np.int16)
    for row, label in enumerate(labels):
        shares = np.full(len(VOTE_COLUMNS), 0.02)
        shares[rng.integers(len(FERPLUS_CLASSES))] += rng.uniform(0, 0.4)
        shares[-1] += 2.0 if rng.random() < 0.02 else 0.0
        shares[columns[label]] += 0.7
        votes[row] = rng.multinomial(10, shares / shares.sum())
    return votes


def draw_face(name: str, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw one face showing the expression `name`: `(48, 48)` uint8, grey."""
    expression = _varied(EXPRESSIONS[name], rng)
    side = SIZE * _SCALE
    canvas = Image.new("L", (side, side), int(rng.uniform(20, 230)))
    _draw(canvas, expression, rng)
    if rng.random() < 0.5:
        canvas = canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    move = rng.uniform(-0.05, 0.05, 2) * side
    canvas = canvas.rotate(
        rng.uniform(-12, 12), Image.Resampling.BILINEAR, translate=tuple(move), fillcolor=canvas.getpixel((2, 2))
    )
    canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.2) * _SCALE / 2))
    pixels = np.asarray(canvas.resize((SIZE, SIZE), Image.Resampling.BOX), np.float64)
    return _lit(pixels, rng)


def draw_person(name: str, person: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draw a face of one person: features, skin and ground are the person's, the rest varies with `rng`."""
    features = np.random.default_rng(person)
    side = SIZE * _SCALE
    canvas = Image.new("L", (side, side), int(features.uniform(20, 230)))
    _draw(canvas, _varied(EXPRESSIONS[name], rng), features)
    canvas = canvas.rotate(rng.uniform(-4, 4), Image.Resampling.BILINEAR, fillcolor=canvas.getpixel((2, 2)))
    canvas = canvas.filter(ImageFilter.GaussianBlur(0.8 * _SCALE / 2))
    pixels = np.asarray(canvas.resize((SIZE, SIZE), Image.Resampling.BOX), np.float64)
    return np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)


def person_at_rest(read: Callable[[npt.NDArray[np.uint8]], str], count: int = 5) -> npt.NDArray[np.uint8]:
    """Draw a person at rest, `(count, 48, 48)` uint8, almost the same each time, whom a network reads as neutral.

    Args:
        read: Return the expression of a crop `(48, 48)`.
        count: How many pictures to draw.
    """
    for person in range(50):
        face = draw_person("neutral", person, np.random.default_rng(person))
        if read(face) == "neutral":
            noise = np.random.default_rng(person).normal(0, 1, (count, *face.shape))
            return np.clip(face + noise, 0, 255).astype(np.uint8)
    raise ValueError("expected one of 50 drawn people to read neutral, got none")


def _varied(expression: Expression, rng: np.random.Generator) -> Expression:
    """Shows it with more or less strength, each part a little off, as no two people smile alike."""
    strength = rng.uniform(0.55, 1.2)
    wobble = {"wrinkle": 0.15, "frown": 0.15, "teeth": 0.2, "jaw": 0.01, "one_sided": 0.02}
    values = {
        field.name: strength * getattr(expression, field.name) + rng.normal(0, wobble.get(field.name, 0.022))
        for field in fields(expression)
    }
    return Expression(**values)


def _lit(pixels: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Add light from one side, contrast, brightness and noise."""
    across, down = np.meshgrid(np.linspace(-1, 1, SIZE), np.linspace(-1, 1, SIZE))
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0, 0.3) * (np.cos(angle) * across + np.sin(angle) * down)
    changed = (pixels * light - 128) * rng.uniform(0.65, 1.1) + 128 + rng.uniform(-25, 25)
    return np.clip(changed + rng.normal(0, rng.uniform(2, 7), pixels.shape), 0, 255).astype(np.uint8)


class _Pen:
    """Draw on a canvas in face units: (0, 0) between nose and eyes, x right, y down, 1 about half the width."""

    def __init__(self, canvas: Image.Image, unit: float, width: float) -> None:
        self.draw = ImageDraw.Draw(canvas)
        self.middle = canvas.width / 2
        self.unit = unit
        self.width = width  # of the face against its height

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self.middle + x * self.unit * self.width, self.middle + y * self.unit

    def line(self, points: list[tuple[float, float]], tone: int, thick: float) -> None:
        self.draw.line([self.at(*point) for point in points], tone, max(1, round(thick * self.unit)), joint="curve")

    def shape(self, points: list[tuple[float, float]], tone: int) -> None:
        self.draw.polygon([self.at(*point) for point in points], tone)

    def oval(self, x: float, y: float, rx: float, ry: float, tone: int) -> None:
        self.draw.ellipse([self.at(x - rx, y - ry), self.at(x + rx, y + ry)], tone)


def _draw(canvas: Image.Image, face: Expression, rng: np.random.Generator) -> None:
    skin = rng.uniform(95, 215)
    dark, shade = int(skin * rng.uniform(0.15, 0.4)), int(skin * 0.72)
    pen = _Pen(canvas, canvas.width * rng.uniform(0.38, 0.47), rng.uniform(0.8, 0.95))
    hair = rng.uniform(0.0, 0.18)
    pen.oval(0, -0.15, 1.05 + hair, 1.1 + hair, dark)
    pen.oval(0, 0.05, 0.95, 1.15, int(skin))
    for side in (-1, 1):
        _eye(pen, side, face, int(skin), dark, rng.uniform(-0.02, 0.02))
        _brow(pen, side, face, dark, rng.uniform(0.06, 0.1))
    _nose(pen, face, shade)
    _mouth(pen, face, shade, dark)


def _eye(pen: _Pen, side: int, face: Expression, skin: int, dark: int, drift: float) -> None:
    x, y, height = side * 0.42, -0.2, max(0.025, 0.11 + face.eyes)
    pen.oval(x, y, 0.2, height, min(255, skin + 60))
    pen.oval(x + drift, y, 0.085, min(0.095, height), max(0, dark - 25))
    lid = np.linspace(-0.21, 0.21, 9)
    pen.line([(x + step, y - height * np.sqrt(max(0, 1 - (step / 0.215) ** 2))) for step in lid], dark, 0.035)


def _brow(pen: _Pen, side: int, face: Expression, dark: int, thick: float) -> None:
    along = np.linspace(0, 1, 7)
    height = -0.45 - face.brow_inner * (1 - along) - face.brow_outer * along - 0.06 * np.sin(np.pi * along)
    pen.line([(side * (0.17 + 0.52 * step), y) for step, y in zip(along, height, strict=True)], dark, thick)
    if face.frown > 0.3:
        pen.line([(side * 0.07, -0.5), (side * 0.06, -0.33)], dark, 0.03 * face.frown)


def _nose(pen: _Pen, face: Expression, shade: int) -> None:
    up = max(0.0, 0.5 * face.lift)
    pen.line([(-0.03, -0.15), (-0.1, 0.22 - up), (-0.13, 0.28 - up), (0.0, 0.32 - up), (0.13, 0.28 - up)], shade, 0.05)
    if face.wrinkle > 0.3:
        for side in (-1, 1):
            pen.line([(side * 0.2, 0.2), (side * 0.36, 0.36), (side * 0.42, 0.55)], shade - 25, 0.05 * face.wrinkle)
            pen.line([(side * 0.14, -0.12), (side * 0.02, -0.05)], shade - 25, 0.04 * face.wrinkle)


def _mouth(pen: _Pen, face: Expression, shade: int, dark: int) -> None:
    half, opened = 0.36 + face.stretch, max(0.0, face.jaw)
    across = np.linspace(-1, 1, 13)
    # A parabola through both corners; what is one-sided lifts one end only.
    middle = 0.62 - face.lift - face.corners * (across**2 - 0.35) - face.one_sided * np.clip(across, 0, 1) ** 1.5
    arch = np.sqrt(1 - across**2)
    upper = list(zip(half * across, middle - opened * 0.45 * arch, strict=True))
    lower = list(zip(half * across, middle + opened * arch, strict=True))
    if opened > 0.03:
        pen.shape(upper + lower[::-1], max(0, dark - 20))
    if opened > 0.03 and face.teeth > 0.3:
        bite = list(zip(half * across, middle + opened * 0.15 * arch, strict=True))
        pen.shape(upper + bite[::-1], 235)
    pen.line(upper, shade - 35, 0.055)
    pen.line(lower, shade - 35, 0.055)


def write_folder(faces: LabelledFaces, root: Path, suffix: str = ".png") -> None:
    """Write `<class>/<source>` under `root`, in the format of `suffix`."""
    for crop, label, source in zip(faces.crops, faces.labels, faces.sources, strict=True):
        folder = root / faces.classes[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop).save(folder / Path(source).with_suffix(suffix).name)


def write_csv(splits: dict[str, LabelledFaces], file: Path) -> None:
    """Write Kaggle's `fer2013.csv`; `splits` is keyed by Kaggle's names ("Training", "PublicTest", "PrivateTest")."""
    numbers = {name: number for number, name in CSV_EMOTIONS.items()}
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["emotion", "pixels", "Usage"])
        for usage, faces in splits.items():
            for crop, label in zip(faces.crops, faces.labels, strict=True):
                writer.writerow([numbers[faces.classes[label]], " ".join(map(str, crop.ravel())), usage])


def write_parquet(faces: LabelledFaces, file: Path) -> None:
    """Write the layout of Hugging Face's `datasets`, with `votes` where there are some, and `twin`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "image": [
            {"bytes": _png(crop), "path": source} for crop, source in zip(faces.crops, faces.sources, strict=True)
        ],
        "label": pa.array(faces.labels),
        "twin": pa.array(faces.twin),
    }
    if faces.votes is not None:
        columns["votes"] = pa.array(faces.votes.tolist(), pa.list_(pa.int8()))
    features = {"image": {"_type": "Image"}, "label": {"names": list(faces.classes), "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), file)


def _png(crop: npt.NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, "PNG")
    return stream.getvalue()
