"""Measure how much a person's resting face as zero helps, and compare forms of the shift.

    python -m benchmarks baseline one_face_neutral_to_smile.mp4 class_4_faces.mp4 --faces natural7.parquet [--json]

Each case has frames at rest, which make the baseline, and other frames, labelled neutral or not. Printed for each form
are the recall of the neutral faces and the mean recall of the other classes with at least 20 faces. The cases:

- clips: spans of the clips in `SPANS`, labelled by eye; the baseline is from the first span at rest.
- traits (`--faces`): the parquet has no names, so it cannot tell who is on several pictures. A trait of a face is made
  instead: one warp (low brows, low or high corners of the mouth) of every face. The baseline is from the first tenth of
  the neutral faces with that trait; all others are tested.
- someone else's (`--faces`): each face gets the baseline of another person. Nobody should do that; it bounds the harm.
- drawn: people drawn by the tests, whose features stay the same over all expressions, with a trait each.

Also printed: how many frames at rest, and of other expressions, are refused as a baseline.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from moodspace.arrays import ByteArray, FloatArray, StringArray
from moodspace.classifier import baseline as baselines
from moodspace.classifier.baseline import Baseline, log_probabilities, not_at_rest, rest_of, typical_neutral
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.calibration import calibrated
from moodspace.classifier.ensemble import shifted_probabilities
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import SIZE, crop_faces
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.embeddings.detection.detectors import open_detector
from moodspace.embeddings.detection.quality import assess_crops
from moodspace.embeddings.encoder import Encoded, encode_all
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.tracking.tracker import Tracker
from tests.drawn_faces import EXPRESSIONS, draw_person

NEUTRAL = baselines.NEUTRAL
# Classes with fewer faces in a case are left out of its mean recall.
_LEAST_FACES = 20
_SEED = 0
# How many other people's baselines are tried, and how many pictures are drawn of each expression of a person.
_OTHERS, _POSES = 20, 3

# What the faces of the clips show, by eye: by clip and track, (from, to, expression) in seconds. The first span at rest
# makes the baseline. The woman of the second clip is never quite at rest; her first frames are the nearest to it.
Span = tuple[float, float, str]
SPANS: Mapping[tuple[str, int], Sequence[Span]] = {
    ("one_face_neutral_to_smile", 1): ((0.0, 0.25, NEUTRAL), (0.26, 0.52, NEUTRAL), (0.7, 2.3, "happy")),
    ("one_face_sad_cry_surprise_smile", 1): ((0.0, 0.25, NEUTRAL), (0.7, 5.6, "sad"), (9.7, 19.5, "happy")),
    ("class_4_faces", 1): ((0.0, 0.25, NEUTRAL), (0.6, 5.6, "sad"), (9.7, 15.0, "happy")),
    ("class_4_faces", 2): (
        (3.9, 5.05, NEUTRAL), (9.8, 11.0, NEUTRAL), (0.0, 1.3, "happy"), (1.8, 3.5, "happy"), (5.4, 9.3, "happy"),
        (11.4, 13.0, "happy"), (13.5, 15.0, "happy"),
    ),
    ("class_4_faces", 4): (
        (0.0, 0.5, NEUTRAL), (5.3, 6.5, NEUTRAL), (11.3, 12.5, NEUTRAL), (1.0, 2.8, "happy"), (3.3, 4.9, "happy"),
        (6.9, 10.9, "happy"), (13.0, 14.5, "happy"),
    ),
}  # fmt: skip

# Warps of a crop: bumps at (x, y) that move the picture by (0, dy) pixels within about 3 pixels.
Bump = tuple[float, float, float]
TRAITS: Mapping[str, Sequence[Bump]] = {
    "as they are": (),
    "low brows": ((20, 14, 2.5), (28, 14, 2.5)),
    "slanted brows": ((20, 14, -1.8), (28, 14, -1.8), (11, 14, 1.8), (37, 14, 1.8)),
    "mouth down": ((16, 35.5, 2.2), (32, 35.5, 2.2)),
    "mouth up": ((16, 35.5, -2.2), (32, 35.5, -2.2)),
    "stern": ((20, 14, 2.0), (28, 14, 2.0), (16, 35.5, 1.5), (32, 35.5, 1.5)),
}
_BUMP_SIGMA = 3.4


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Faces of one or more people.

    Attributes:
        name: What they are.
        people: For each person the frames at rest, which make the baseline, and the faces to predict.
        labels: `(n,)` the expressions of all faces to predict.
    """

    name: str
    people: Sequence[tuple[Encoded, Encoded]]
    labels: StringArray

    @property
    def faces(self) -> Encoded:
        """All faces to predict."""
        return _joined([faces for _, faces in self.people])


Form = Callable[[Recognizer, Encoded, Encoded], FloatArray]


def shift_probabilities(strength: float, *, positive: bool = False, uniform: float = 0.0) -> Form:
    """Shift the log-probabilities of the view.

    Args:
        strength: The share of the difference that is subtracted.
        positive: Whether to lower classes only, and never raise one.
        uniform: If > 0, compare with this probability of neutral, the rest spread over the other classes, instead of
            the gallery's neutral faces.
    """

    def form(recognizer: Recognizer, rest: Encoded, faces: Encoded) -> FloatArray:
        neutral, count = recognizer.classes.index(NEUTRAL), len(recognizer.classes)
        typical = typical_neutral(recognizer.bundle, recognizer.label_set)
        if uniform:
            typical = np.log(np.where(np.arange(count) == neutral, uniform, (1 - uniform) / (count - 1)))
        mean = Baseline.mean(rest, recognizer.bundle.encoder_spec.fingerprint)
        at_rest = log_probabilities(recognizer.untaught(mean.encoded()).proba)[0]
        more = (at_rest - at_rest[neutral]) - (typical - typical[neutral])
        shift = -strength * (np.maximum(more, 0) if positive else more)
        return shifted_probabilities(recognizer.untaught(faces).proba, shift)

    return form


def shift_label_sets(strength: float) -> Form:
    """Shift the log-probabilities of each label set before they are blended: the form in use."""

    def form(recognizer: Recognizer, rest: Encoded, faces: Encoded) -> FloatArray:
        mean = Baseline.mean(rest, recognizer.bundle.encoder_spec.fingerprint).encoded()
        shift = {}
        for name in recognizer.label_sets:
            neutral = recognizer.bundle.classes[name].index(NEUTRAL)
            at_rest = log_probabilities(Recognizer(recognizer.bundle, name).untaught(mean).proba)[0]
            typical = typical_neutral(recognizer.bundle, name)
            shift[name] = -strength * ((at_rest - at_rest[neutral]) - (typical - typical[neutral]))
        return recognizer.untaught(faces, shift=shift).proba

    return form


def shift_logits(strength: float) -> Form:
    """Shift the logits of each label set before head and votes are combined."""

    def form(recognizer: Recognizer, rest: Encoded, faces: Encoded) -> FloatArray:
        bundle, logits = recognizer.bundle, dict(faces.logits)
        for name, values in rest.logits.items():
            if NEUTRAL not in bundle.classes[name]:
                continue
            neutral, calibration = bundle.classes[name].index(NEUTRAL), bundle.calibrations[name]
            at_rest = log_probabilities(calibrated(values.mean(axis=0)[None], calibration))[0]
            typical = typical_neutral(bundle, name)
            more = (at_rest - at_rest[neutral]) - (typical - typical[neutral])
            logits[name] = (faces.logits[name] - strength * more / np.array(calibration.scale)).astype(np.float32)
        return recognizer.untaught(Encoded(faces.embeddings, logits)).proba

    return form


def shift_embeddings(strength: float) -> Form:
    """Shift the embeddings by the resting face's difference from the mean of the gallery's neutral faces."""

    def form(recognizer: Recognizer, rest: Encoded, faces: Encoded) -> FloatArray:
        gallery, neutral = recognizer.bundle.index.gallery, recognizer.classes.index(NEUTRAL)
        typical = gallery.embeddings[recognizer.gallery_labels == neutral].mean(axis=0)
        moved = faces.embeddings - strength * (rest.embeddings.mean(axis=0) - typical)
        moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)
        return recognizer.untaught(Encoded(moved.astype(np.float32), faces.logits)).proba

    return form


def in_use(recognizer: Recognizer, rest: Encoded, faces: Encoded) -> FloatArray:
    """Predict as the program does."""
    found = rest_of(Baseline.mean(rest, recognizer.bundle.encoder_spec.fingerprint), recognizer)
    return recognizer.predict_encoded(faces, shift=found.shift).proba


def without(recognizer: Recognizer, rest: Encoded, faces: Encoded) -> FloatArray:
    """Predict without a baseline."""
    return recognizer.untaught(faces).proba


FORMS: Mapping[str, Form] = {
    "no baseline": without,
    "in use": in_use,
    **{f"probabilities {one}": shift_probabilities(one) for one in (0.25, 0.5, 0.75, 1.0)},
    "probabilities 0.5, only lowered": shift_probabilities(0.5, positive=True),
    "probabilities 0.5, to neutral 85 %": shift_probabilities(0.5, uniform=0.85),
    **{f"label sets {one}": shift_label_sets(one) for one in (0.25, 0.4, 0.5, 0.6, 0.75, 1.0)},
    "logits 0.5": shift_logits(0.5),
    "logits 1.0": shift_logits(1.0),
    "embedding 0.5": shift_embeddings(0.5),
    "embedding 1.0": shift_embeddings(1.0),
}


def recalls(form: Form, case: Case, recognizer: Recognizer) -> dict[str, float]:
    """Return the recall of each class of a case in percent; of neutral, and of others with enough faces."""
    proba = np.concatenate([form(recognizer, rest, faces) for rest, faces in case.people])
    predicted = np.array(recognizer.classes)[proba.argmax(axis=1)]
    found = {}
    for name in sorted(set(case.labels.tolist())):
        of_class = case.labels == name
        if name == NEUTRAL or of_class.sum() >= _LEAST_FACES:
            found[name] = round(100 * float((predicted[of_class] == name).mean()), 1)
    return found


def warped(crops: ByteArray, bumps: Sequence[Bump]) -> ByteArray:
    """Return crops with some parts moved down (or up), `(n, 48, 48)` uint8."""
    if not bumps:
        return crops
    down, right = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    moved = sum(
        (dy * np.exp(-((right - x) ** 2 + (down - y) ** 2) / (2 * _BUMP_SIGMA**2)) for x, y, dy in bumps),
        start=np.zeros((SIZE, SIZE), np.float32),
    )
    where = (down - moved).astype(np.float32)
    cubic, edge = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
    return np.stack([cv2.remap(one, right, where, cubic, borderMode=edge) for one in crops]).astype(np.uint8)


def clip_cases(clip: Path, recognizer: Recognizer) -> Iterator[Case]:
    """Yield a case for each labelled track of a clip.

    Raises:
        ValueError: The clip's name is not in `SPANS`.
    """
    spans = {track: of_track for (name, track), of_track in SPANS.items() if name == clip.stem}
    if not spans:
        raise ValueError(f"{clip}: expected a clip named like {', '.join(sorted({name for name, _ in SPANS}))}")
    bundle = recognizer.bundle
    crops: dict[int, list[ByteArray]] = {track: [] for track in spans}
    times: dict[int, list[float]] = {track: [] for track in spans}
    tracker = Tracker(open_detector(), bundle.geometry)
    with open_source(str(clip)) as source:
        for frame in source:
            tracked = tracker.update(frame.bgr, frame.time)
            cut = crop_faces(frame.bgr, tracked.faces.landmarks, bundle.geometry)
            good = assess_crops(tracked.faces, cut, frame.bgr.shape).good
            for row, track in enumerate(tracked.ids.tolist()):
                if track in spans and good[row]:
                    crops[track].append(cut[row])
                    times[track].append(frame.time)
    for track, of_track in spans.items():
        encoded, at = encode_all(bundle.encoder, np.stack(crops[track])), np.array(times[track])
        inside = [np.flatnonzero((at >= start) & (at <= stop)) for start, stop, _ in of_track]
        rest = next(rows for rows, span in zip(inside, of_track, strict=True) if span[2] == NEUTRAL)
        tested = [(rows, span[2]) for rows, span in zip(inside, of_track, strict=True) if rows is not rest]
        labels = np.concatenate([np.full(len(rows), name) for rows, name in tested])
        faces = encoded.take(np.concatenate([rows for rows, _ in tested]))
        yield Case(f"{clip.stem}, face {track}", [(encoded.take(rest), faces)], labels)


def trait_cases(file: Path, recognizer: Recognizer) -> Iterator[Case]:
    """Yield a case for each trait of labelled faces, and one in which each face has someone else's baseline."""
    faces = read_labelled_faces(file)
    labels = np.array(faces.classes)[faces.labels]
    rng = np.random.default_rng(_SEED)
    neutral = rng.permutation(np.flatnonzero(labels == NEUTRAL))
    rest = neutral[: max(1, len(neutral) // 10)]
    tested = np.setdiff1d(np.arange(len(labels)), rest)
    for name, bumps in TRAITS.items():
        encoded = encode_all(recognizer.bundle.encoder, warped(faces.crops, bumps))
        yield Case(f"faces, {name}", [(encoded.take(rest), encoded.take(tested))], labels[tested])
        if not bumps:
            parts = np.array_split(rng.permutation(tested), min(_OTHERS, len(rest)))
            people = [(encoded.take(rest[i : i + 1]), encoded.take(part)) for i, part in enumerate(parts)]
            yield Case("faces, someone else's", people, labels[np.concatenate(parts)])


def drawn_cases(people: int, recognizer: Recognizer) -> Iterator[Case]:
    """Yield one case a trait of drawn people; each person has a baseline of their own."""
    names = [name for name in EXPRESSIONS if name in recognizer.classes]
    for trait, bumps in TRAITS.items():
        parts = []
        for person in range(people):
            shown = np.concatenate([_drawn(person, name, _POSES, seed=2) for name in names])
            crops = np.concatenate([_drawn(person, NEUTRAL, _POSES, seed=1), shown])
            encoded = recognizer.bundle.encoder.encode(warped(crops, bumps))
            parts.append((encoded.take(slice(0, _POSES)), encoded.take(slice(_POSES, None))))
        yield Case(f"drawn, {trait}", parts, np.tile(np.repeat(names, _POSES), people))


def _drawn(person: int, name: str, count: int, *, seed: int) -> ByteArray:
    rng = np.random.default_rng([seed, person, list(EXPRESSIONS).index(name)])
    return np.stack([draw_person(name, person, rng) for _ in range(count)])


def _joined(parts: Sequence[Encoded]) -> Encoded:
    logits = {name: np.concatenate([part.logits[name] for part in parts]) for name in parts[0].logits}
    return Encoded(np.concatenate([part.embeddings for part in parts]), logits)


def refused(case: Case, recognizer: Recognizer) -> dict[str, float]:
    """Return for each expression the share of its faces, in percent, that are not taken for a face at rest."""
    found, proba = {}, recognizer.untaught(case.faces).proba
    for name in sorted(set(case.labels.tolist())):
        rows = proba[case.labels == name]
        if len(rows) >= _LEAST_FACES or name == NEUTRAL:
            reasons = [bool(not_at_rest(recognizer.classes, row)) for row in rows]
            found[name] = round(100 * float(np.mean(reasons)), 1)
    return found


def neutral_recall(found: Mapping[str, float]) -> float | None:
    """Return the recall of neutral; None without neutral faces."""
    return found.get(NEUTRAL)


def mean_of_others(found: Mapping[str, float]) -> float | None:
    """Return the mean recall of the classes other than neutral; None without any."""
    others = [value for name, value in found.items() if name != NEUTRAL]
    return round(float(np.mean(others)), 1) if others else None


def measure(cases: Sequence[Case], recognizer: Recognizer) -> dict[str, Any]:
    """Return the recalls of all cases by form, and the refusals."""
    forms = {
        form: {case.name: recalls(function, case, recognizer) for case in cases} for form, function in FORMS.items()
    }
    return {
        "view": recognizer.label_set,
        "strength": baselines.STRENGTH,
        "faces": {case.name: len(case.faces) for case in cases},
        "recalls": forms,
        "refused": {case.name: refused(case, recognizer) for case in cases},
    }


def table(found: Mapping[str, Any]) -> str:
    """Return the figures as Markdown: for each case neutral / others, in percent; for a form the difference.

    The last columns are means over the traits.
    """
    cases, plain = list(found["faces"]), found["recalls"]["no baseline"]
    groups = {case: [case] for case in cases}
    for kind in ("faces", "drawn"):
        if traits := [f"{kind}, {name}" for name, bumps in TRAITS.items() if bumps and f"{kind}, {name}" in cases]:
            groups[f"{kind}, mean of traits"] = traits
    lines = [f"view {found['view']}, strength {found['strength']}: recall of neutral / mean recall of other classes, %"]
    lines += ["", "| form | " + " | ".join(groups) + " |", "|---" * (1 + len(groups)) + "|"]
    for form, by_case in found["recalls"].items():
        cells = []
        for members in groups.values():
            parts = []
            for part in (neutral_recall, mean_of_others):
                pairs = [(part(by_case[case]), part(plain[case])) for case in members]
                known = [(value, before) for value, before in pairs if value is not None and before is not None]
                value, before = np.mean(known, axis=0) if known else (None, 0.0)
                shown = "-" if value is None else f"{value:.1f}" if form == "no baseline" else f"{value - before:+.1f}"
                parts.append(shown)
            cells.append(" / ".join(parts))
        lines.append(f"| {form} | " + " | ".join(cells) + " |")
    lines += ["", "refused as a baseline, % of the frames of each expression:"]
    for case, by_class in found["refused"].items():
        lines.append(f"- {case}: " + ", ".join(f"{name} {value:g}" for name, value in by_class.items()))
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="*", help="clips with labelled spans, see SPANS")
    parser.add_argument("--faces", type=Path, help="labelled faces, for the traits")
    parser.add_argument("--people", type=int, default=30, help="number of drawn people")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"), help="the bundle")
    parser.add_argument("--labels", help="the view; the bundle's default if omitted")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    recognizer = Recognizer(load_bundle(arguments.bundle), arguments.labels)
    cases = [case for clip in arguments.clips for case in clip_cases(clip, recognizer)]
    cases += list(trait_cases(arguments.faces, recognizer)) if arguments.faces else []
    cases += list(drawn_cases(arguments.people, recognizer)) if arguments.people else []
    found = measure(cases, recognizer)
    print(json.dumps(found, indent=2) if arguments.json else table(found))


if __name__ == "__main__":
    main()
