"""What Python computes from made inputs, for the unit tests of the browser engine."""

import base64
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from skimage.data import astronaut

from moodspace.arrays import ByteArray, FloatArray
from moodspace.classifier.calibration import Calibration
from moodspace.classifier.ensemble import Prediction, combine
from moodspace.classifier.palette import COLORS, OWN_COLORS, class_shades
from moodspace.classifier.taught_scores import Gate, TaughtScorer, Whitening, nearest_wins
from moodspace.classifier.views import Blend
from moodspace.embeddings.crops import DEFAULT_GEOMETRY, crop_faces
from moodspace.embeddings.data.labels import class_name
from moodspace.embeddings.detection.detectors import decode_centerface
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.occlusion import mouth_hidden_probability
from moodspace.embeddings.detection.occlusion_weights import BIAS, WEIGHTS
from moodspace.embeddings.detection.quality import assess_crops
from moodspace.embeddings.detection.tiles import level_scales, spans
from moodspace.index.gallery import Gallery
from moodspace.index.search import GalleryIndex
from moodspace.index.taught.frozen import FrozenFaces
from moodspace.realtime.evidence import NearFace, SmoothedEvidence
from moodspace.realtime.tracking.association import appearances, assign, associate
from moodspace.realtime.tracking.flow import Flow
from moodspace.realtime.tracking.smoothing import LabelSmoother
from moodspace.web.site.networks import Packed
from tests.realtime.fakes import together

SETS = {"first": ("angry", "happy", "sad"), "second": ("happy", "sad", "angry", "contempt")}
# Landmarks of the face in the astronaut picture at 256x256.
FACE = np.array([[104, 47], [122, 48], [114, 57], [106, 66], [120, 66]], np.float32)


def vectors() -> dict[str, Any]:
    """Returns inputs and results by the name of the test."""
    rng = np.random.default_rng(5)
    frame = np.ascontiguousarray(cv2.resize(astronaut(), (256, 256), interpolation=cv2.INTER_AREA)[..., ::-1])
    return {
        "pictures": pictures(frame),
        "crops": crops(frame),
        "detector": detector(rng),
        "ensemble": ensemble(rng),
        "taught": taught(rng),
        "tracking": tracking(frame, rng),
        "smoothing": smoothing(rng),
        "names": names(),
        "halves": halves(rng),
        "effect": effect(rng),
    }


def text(values: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def picture(frame_bgr: ByteArray) -> dict[str, Any]:
    rgba = cv2.cvtColor(frame_bgr, cv2.COLOR_BGR2RGBA)
    return {"width": frame_bgr.shape[1], "height": frame_bgr.shape[0], "rgba": text(rgba)}


def pictures(frame: ByteArray) -> dict[str, Any]:
    gray = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    sizes = [(128, 128), (113, 90), (200, 77), (300, 400)]
    resized = [
        cv2.resize(gray, size, interpolation=cv2.INTER_AREA if size[0] < 256 else cv2.INTER_LINEAR) for size in sizes
    ]
    colors = cv2.resize(frame, (150, 150), interpolation=cv2.INTER_AREA)[..., ::-1]
    return {
        "frame": picture(frame),
        "gray": text(gray),
        "resized": [{"size": size, "data": text(one)} for size, one in zip(sizes, resized, strict=True)],
        "network": {"size": [150, 150], "padded": [160, 160], "data": text(colors)},
    }


def turned(points: FloatArray, degrees: float, scale: float, shift: tuple[float, float]) -> FloatArray:
    angle = np.radians(degrees)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = points.mean(axis=0)
    return ((points - middle) @ matrix.T + middle + np.array(shift)).astype(np.float32)


def crops(frame: ByteArray) -> list[dict[str, Any]]:
    cases = [
        FACE,
        turned(FACE, 20, 1.0, (0, 0)),
        turned(FACE, -35, 4.5, (10, 60)),
        turned(FACE, 5, 0.3, (0, 5)),
        turned(FACE, 0, 1.5, (-100, -30)),
        turned(FACE, 180, 0.8, (3, 0)),
        np.tile(FACE[:1], (5, 1)),
    ]
    out = []
    for landmarks in cases:
        crop = crop_faces(frame, landmarks[None], DEFAULT_GEOMETRY)
        low, high = landmarks.min(axis=0) - 8, landmarks.max(axis=0) + 8
        faces = Faces(np.array([[*low, *(high - low)]], np.float32), landmarks[None], np.ones(1, np.float32))
        quality = assess_crops(faces, crop, frame.shape)
        out.append(
            {
                "landmarks": landmarks.tolist(),
                "crop": text(crop),
                "box": faces.xywh[0].tolist(),
                "sharpness": float(quality.sharpness[0]),
                "hidden": float(mouth_hidden_probability(crop)[0]),
                "yaw": float(quality.yaw[0]),
                "reason": quality.reasons[0],
                "appearance": appearances(crop)[0].tolist(),
            }
        )
    return [{"template": DEFAULT_GEOMETRY.template.tolist(), "weights": list(WEIGHTS), "bias": BIAS}, *out]


def detector(rng: np.random.Generator) -> dict[str, Any]:
    heat = rng.uniform(0, 0.62, (1, 1, 12, 16)).astype(np.float32)
    sizes, offsets = (rng.normal(size=(1, 2, 12, 16)).astype(np.float32) for _ in range(2))
    landmarks = rng.uniform(0, 1, (1, 10, 12, 16)).astype(np.float32)
    faces = decode_centerface(heat, sizes, offsets, landmarks, 0.5)
    longest = [300, 640, 1200, 4000, 12000]
    return {
        # As the converted network gives them, channels last.
        "maps": [text(one.transpose(0, 2, 3, 1)) for one in (heat, sizes, offsets, landmarks)],
        "columns": 16,
        "boxes": faces.xywh.tolist(),
        "landmarks": faces.landmarks.tolist(),
        "confidence": faces.confidence.tolist(),
        "spans": {str(side): spans(side) for side in (100, 576, 577, 1000, 1729, 5000)},
        "levels": {str(side): level_scales(side, min(640 / side, 3.0), 40.0) for side in longest},
    }


def calibration(classes: int, rng: np.random.Generator, *, alpha: float, k: int) -> Calibration:
    scale, bias = rng.uniform(0.5, 2, classes), rng.normal(size=classes)
    return Calibration(tuple(scale.tolist()), tuple(bias.tolist()), alpha, 0.07, k, 0.45, 1.7, 0.01, 0.8)


def unit(rows: Any) -> FloatArray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def ensemble(rng: np.random.Generator) -> dict[str, Any]:
    n, dim = 200, 12
    embeddings = unit(rng.normal(size=(n, dim)))
    labels = {name: rng.integers(-1, len(classes), n) for name, classes in SETS.items()}
    gallery = Gallery(embeddings, np.arange(n), labels, SETS, np.array([f"face {at}" for at in range(n)]), np.zeros(n))
    index = GalleryIndex(gallery)
    queries = unit(rng.normal(size=(6, dim)))
    calibrations = {
        "first": calibration(3, rng, alpha=0.4, k=9),
        "second": calibration(4, rng, alpha=0.7, k=4),
    }
    blend = Blend(("angry", "happy", "sad"), {"first": (0.2, 0.9, 0.5), "second": (0.8, 0.1, 0.5)}, "first", 0.7, 0.5)
    neighbors = index.search(queries, 9)
    logits = {name: rng.normal(size=(6, len(classes))).astype(np.float32) for name, classes in SETS.items()}
    found = {name: combine(logits[name], neighbors, calibrations[name], name, SETS[name]) for name in SETS}
    blends = [blend, *mixtures(blend, rng)]
    return {
        "classes": SETS,
        # What the search compares is rounded to 16 bits.
        "embeddings": text(index.gallery.embeddings),
        "labels": {name: text(column.astype(np.int8)) for name, column in labels.items()},
        "queries": queries.tolist(),
        "ids": neighbors.ids.tolist(),
        "similarities": neighbors.similarities.tolist(),
        "logits": {name: values.tolist() for name, values in logits.items()},
        "calibrations": {name: values.to_json() for name, values in calibrations.items()},
        "parts": {name: parts_of(prediction) for name, prediction in found.items()},
        "blends": [
            {
                "values": one.to_json(),
                "parts": parts_of(one.predict(found, neighbors)),
                "labels": one.labels(labels, SETS).tolist(),
            }
            for one in blends
        ],
    }


def mixtures(blend: Blend, rng: np.random.Generator) -> list[Blend]:
    """Returns blends by logistic regression."""
    weights = {name: rng.normal(size=(len(classes), 3)).tolist() for name, classes in SETS.items()}
    try:
        values = {**blend.to_json(), "weights": weights, "bias": rng.normal(size=3).tolist()}
        mixture = Blend.from_json(values)
    except ValueError:
        return []
    return [mixture] if getattr(mixture, "weights", None) else []


def parts_of(prediction: Prediction) -> dict[str, Any]:
    return {
        "proba": prediction.proba.tolist(),
        "head": prediction.head_proba.tolist(),
        "votes": prediction.knn_proba.tolist(),
    }


def taught(rng: np.random.Generator) -> dict[str, Any]:
    embeddings = unit(rng.normal(size=(300, 12)) * np.linspace(0.2, 2, 12))
    whitening = Whitening.fit(embeddings)
    gate = Gate()
    similarities = np.linspace(0.5, 1, 26)
    deviations = np.linspace(0, 8, 17)
    odds, nearness = rng.uniform(0, 49, (8, 4)) * rng.integers(0, 2, (8, 4)), rng.uniform(0.7, 1, (8, 4))
    # Six frames of a held expression, which are near copies, four other faces, and a class that the network knows.
    held = unit(np.repeat(embeddings[10:11], 6, axis=0) + rng.normal(0, 0.02, (6, 12)))
    examples = np.concatenate([held, embeddings[20:24], embeddings[30:34]]).astype(np.float32)
    labels = ("held",) * 6 + ("other",) * 4 + ("happy",) * 4
    index = FrozenFaces(np.arange(14), examples, labels, ("",) * 14).index()
    # From a near copy to a face that has nothing to do with it.
    away = np.linspace(0, 1, 60)[:, None] * unit(rng.normal(size=(60, 12)) * np.linspace(0.2, 2, 12))
    asked = unit(np.concatenate([held[:1] + away, embeddings[20:40]])).astype(np.float32)
    scored = TaughtScorer(embeddings, ("happy",), gate).score(asked, index)
    return {
        "examples": {"embeddings": examples.tolist(), "labels": labels},
        "known": embeddings.ravel().tolist(),
        "asked": asked.tolist(),
        "scored": {"classes": scored.classes, "odds": scored.odds.tolist()},
        "mean": text(whitening.mean),
        "transform": text(whitening.transform),
        "rows": embeddings[:5].tolist(),
        "whitened": whitening(embeddings[:5]).tolist(),
        "gate": gate.to_json(),
        "similarities": similarities.tolist(),
        "near": gate.near_odds(similarities, np.full(26, 7)).tolist(),
        "deviations": deviations.tolist(),
        "mean_odds": gate.mean_odds(deviations, np.full(17, 5), 3).tolist(),
        "mean_nearness": gate.mean_nearness(deviations, np.full(17, 5), 3).tolist(),
        "odds": odds.tolist(),
        "nearness": nearness.tolist(),
        "wins": nearest_wins(odds, nearness).tolist(),
    }


def tracking(frame: ByteArray, rng: np.random.Generator) -> dict[str, Any]:
    moved = []
    for degrees, scale, shift in ((0, 1.0, (3.0, -2.0)), (3, 1.03, (0.0, 4.0)), (0, 1.0, (60.0, 0.0))):
        matrix = cv2.getRotationMatrix2D((114.0, 57.0), degrees, scale)
        matrix[:, 2] += shift
        after = cv2.warpAffine(frame, matrix, (256, 256), borderMode=cv2.BORDER_REPLICATE)
        flow = Flow()
        flow.advance(frame, FACE[None])
        move, known = flow.advance(after, FACE[None])
        moved.append({"after": picture(after), "move": move[0].ravel().tolist(), "known": bool(known[0])})
    costs = [rng.uniform(0, 3, (n, m)) for n, m in ((1, 1), (3, 5), (6, 6), (4, 9))]
    expected = rng.uniform(0, 100, (5, 4)).astype(np.float32) + np.array([0, 0, 60, 60], np.float32)
    found = np.roll(expected, 2, axis=0) + rng.normal(0, 4, (5, 4)).astype(np.float32)
    known = unit(rng.normal(size=(5, 64)) + 0.3)
    seen = unit(np.roll(known, 2, axis=0) + rng.normal(0, 0.05, (5, 64)))
    undetected, whole = rng.uniform(0, 1, 5), rng.random(5) < 0.6
    return {
        "before": picture(frame),
        "landmarks": FACE.tolist(),
        "moves": moved,
        "costs": [{"cost": one.tolist(), "columns": assign(one).tolist()} for one in costs],
        "associate": {
            "expected": expected.tolist(),
            "known": known.tolist(),
            "undetected": undetected.tolist(),
            "found": found.tolist(),
            "seen": seen.tolist(),
            "whole": whole.tolist(),
            "pairs": associate(expected, known, undetected, found, seen, whole),
        },
    }


def smoothing(rng: np.random.Generator) -> dict[str, Any]:
    smoother, evidence = LabelSmoother(0.5), SmoothedEvidence(0.5)
    steps = []
    now = 0.0
    for at in range(60):
        classes = ("angry", "happy", "sad") if at < 40 else ("angry", "happy", "sad", "smirk")
        proba = rng.dirichlet(np.full(len(classes), 0.4)).astype(np.float32)
        now += float(rng.uniform(0.02, 0.2))
        action = "reset" if at == 30 else "fade" if at % 11 == 10 else "update"
        faces = [
            NearFace(int(one), classes[one % len(classes)], float(rng.uniform(0.5, 1)), "", bool(one > 7))
            for one in rng.choice(10, 4, replace=False)
        ]
        if action == "reset":
            smoother.reset()
            evidence.reset()
        if action == "fade":
            smoother.fade(classes, now)
        else:
            smoother.update(proba, classes, now)
            evidence.update(together(faces), classes, proba, now)
        column = smoother.shown(0.45, now)
        steps.append(
            {
                "action": action,
                "classes": classes,
                "proba": proba.tolist(),
                "now": now,
                "faces": [[one.id, one.label, one.similarity, one.taught] for one in faces],
                "smoothed": smoother.proba.tolist(),
                "shown": None if column < 0 else classes[column],
                "nearest": [[one.id, one.similarity] for one in evidence.nearest(3, classes[0])],
                "votes": evidence.votes(classes).tolist(),
            }
        )
    return {"halfLife": 0.5, "unknownBelow": 0.45, "steps": steps}


def names() -> dict[str, Any]:
    typed = ["Happiness", "  Very   SAD ", "ANGER", "Größe", "cafe\u0301", "smirk", "joy", "日本"]
    classes = ("happy", "smirk", "wink", "frown", "contempt", "日本", "bored", "pout", "calm")
    return {
        "typed": {one: class_name(one) for one in typed},
        "refused": ["", "   ", "a\nb", "a\u200bb", "x" * 41],
        "colors": COLORS,
        "own": OWN_COLORS,
        "shades": dict(zip(classes, class_shades(classes), strict=True)),
    }


def effect(rng: np.random.Generator) -> dict[str, Any] | None:
    """Returns temperatures by quality; None where bundles have no such function."""
    try:
        from moodspace.classifier.quality_effect import QualityEffect
        from moodspace.embeddings.detection.quality import FaceQuality, noise_level
    except ImportError:
        return None
    effects = [QualityEffect(), QualityEffect(0.3, 0.5, 0.2, 0.4, 0.6, 0.7, 0.8)]
    n = 40
    measured = {
        "sharpness": rng.uniform(0, 0.08, n),
        "noise": rng.uniform(0, 16, n),
        "hidden": rng.uniform(0, 1, n),
        "size": rng.uniform(5, 90, n),
        "yaw": rng.uniform(-80, 80, n),
    }
    measured["size"][:2] = measured["yaw"][:2] = np.nan
    quality = FaceQuality(good=np.ones(n, bool), **{name: v.astype(np.float32) for name, v in measured.items()})
    crop = rng.integers(0, 256, (48, 48)).astype(np.uint8)
    rows = [{name: None if np.isnan(v[at]) else float(v[at]) for name, v in measured.items()} for at in range(n)]
    return {
        "effects": [one.to_json() for one in effects],
        "rows": rows,
        "temperatures": [one.temperature(quality).tolist() for one in effects],
        "crop": text(crop),
        "noise": noise_level(crop),
    }


def halves(rng: np.random.Generator) -> dict[str, Any]:
    values = np.concatenate([rng.normal(size=500), [0, -0.0, 6e-8, 65504, 2**-14]]).astype(np.float16)
    packed = Packed(b"abc" + values.tobytes() + b"de", [(3, False), (len(values), True), (2, False)])
    exact = np.concatenate([rng.normal(size=200), rng.normal(size=50) * 1e-5, [0, 1, 1 + 2**-11, 1 + 3 * 2**-11]])
    return {
        "content": text(np.frombuffer(packed.content, np.uint8)),
        "segments": packed.segments,
        "file": text(np.frombuffer(packed.unpacked(), np.uint8)),
        "exact": exact.astype(np.float32).tolist(),
        "rounded": exact.astype(np.float32).astype(np.float16).tolist(),
    }


def browser_folder() -> Path:
    """Returns the folder of the browser engine's sources."""
    return Path(__file__).parents[3] / "web" / "browser"
