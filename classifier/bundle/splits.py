"""Read the faces to train on and to validate on, from the splits of a data set or from a part that is held out."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import BoolArray
from moodspace.embeddings.data.labelled import DataError, LabelledFaces, Progress, Skipped
from moodspace.embeddings.data.layout import split_name
from moodspace.embeddings.data.readers import label_set_name, read_labelled_faces, splits_in

HELD_OUT = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class TrainingFaces:
    """The faces to train and to validate on, with the same classes.

    Attributes:
        train: Faces to learn from.
        validation: Faces to choose the best epoch and to calibrate on.
        skipped: Pictures and rows that could not be read, each once.
        notes: Lines for the user about held-out faces and left-out classes.
    """

    train: LabelledFaces
    validation: LabelledFaces
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


def read_training_faces(
    data: Path,
    validation: Path | None = None,
    *,
    split: str | None = None,
    validation_split: str | float | None = None,
    seed: int = 0,
    progress: Callable[[str], Progress | None] = lambda stage: None,
) -> TrainingFaces:
    """Read the faces to train on and to validate on.

    Args:
        data: A data set.
        validation: A separate data set for validation, if any.
        split: The split of `data` to train on; by default "train", or the only one.
        validation_split: The split to validate on, of `validation` or else of `data`; or a share in (0, 1) to hold out
            of the training faces. By default "validation", or a tenth if there is no such split.
        seed: Seed of the choice of held-out faces.
        progress: Called with the name of a stage; returns the progress callback of that stage.

    Raises:
        DataError: A data set cannot be read, a split does not exist, or there are too few faces or classes.
    """
    share = validation_split if isinstance(validation_split, float) else None
    named = split_name(validation_split) if isinstance(validation_split, str) else None
    notes: list[str] = []
    splits = splits_in(data)
    chosen = _training_split(data, splits, split)
    faces = read_labelled_faces(data, split=chosen, progress=progress("read"))
    faces = replace(faces, name=label_set_name(data, faces))
    _refuse_one_class(data, faces)
    if validation is not None:
        if share is not None:
            raise DataError(f"validation split: expected a split of {validation} by name, got {share:g}")
        held_out = _read_validation(validation, named, progress("read for validation"))
    elif named is None and (share is not None or "validation" not in splits or chosen == "validation"):
        faces, held_out = _part(data, faces, HELD_OUT if share is None else share, seed)
        where = f"split {chosen}" if chosen else str(data)
        of_all = len(held_out) / (len(held_out) + len(faces))
        notes.append(f"held out {len(held_out)} faces of {where} for validation ({of_all:.0%}, seed {seed})")
    else:
        wanted = named or "validation"
        if wanted == chosen:
            raise DataError(f"{data}: expected two splits to train and to validate on, got {wanted!r} for both")
        held_out = read_labelled_faces(data, split=wanted, progress=progress("read for validation"))
    skipped = tuple(dict.fromkeys((*faces.skipped, *held_out.skipped)))
    faces, held_out = _of_the_same_classes(faces, held_out, notes)
    return TrainingFaces(faces, held_out, skipped, tuple(notes))


def hold_out(faces: LabelledFaces, share: float, seed: int) -> BoolArray:
    """Choose the faces to hold out for validation: `share` of each class, at least one of a class that has two.

    Identical pictures stay together; if their labels differ, all of them stay in training. The only picture of a class
    stays in training, too.

    Args:
        faces: All faces.
        share: Share to hold out, in (0, 1).
        seed: The same seed chooses the same faces.

    Returns:
        `(n,)` bool, True for the held-out faces.
    """
    identical: defaultdict[bytes, list[int]] = defaultdict(list)
    for row, crop in enumerate(faces.crops):
        identical[crop.tobytes()].append(row)
    groups: defaultdict[int, list[list[int]]] = defaultdict(list)
    for rows in identical.values():
        if len(labels := set(faces.labels[rows].tolist())) == 1:
            groups[labels.pop()].append(rows)
    counts = np.bincount(faces.labels, minlength=len(faces.classes))
    chosen = np.zeros(len(faces), np.bool_)
    random = np.random.default_rng(seed)
    for label in range(len(faces.classes)):
        own = [groups[label][place] for place in random.permutation(len(groups[label]))]
        wanted = min(max(1, round(share * int(counts[label]))), int(counts[label]) - 1)
        for rows in own:
            if (taken := int((chosen & (faces.labels == label)).sum())) >= wanted:
                break
            if taken + len(rows) <= wanted:
                chosen[rows] = True
        if len(own) > 1 and not chosen[faces.labels == label].any():
            chosen[min(own, key=len)] = True
    return chosen


def _training_split(data: Path, splits: list[str], wanted: str | None) -> str | None:
    """Return the split to train on, or None if the data set has no splits."""
    if wanted is not None or not splits:
        return wanted
    if "train" not in splits and len(splits) > 1:
        raise DataError(f"{data}: expected a split called train, got {', '.join(splits)}; choose one with --split")
    return "train" if "train" in splits else splits[0]


def _read_validation(path: Path, wanted: str | None, progress: Progress | None) -> LabelledFaces:
    splits = splits_in(path)
    if wanted is None and len(splits) > 1:
        if "validation" not in splits:
            raise DataError(
                f"{path}: expected a split called validation, got {', '.join(splits)}; "
                "choose one with --validation-split"
            )
        wanted = "validation"
    return read_labelled_faces(path, split=wanted, progress=progress)


def _part(data: Path, faces: LabelledFaces, share: float, seed: int) -> tuple[LabelledFaces, LabelledFaces]:
    if not 0 < share < 1:
        raise DataError(f"validation split: expected the name of a split or a share in (0, 1), got {share:g}")
    chosen = hold_out(faces, share, seed)
    if not chosen.any():
        raise DataError(
            f"{data}: expected two or more different pictures of a class, to hold one out for validation, "
            f"got {_counts(faces)}"
        )
    return faces.take(~chosen), faces.take(chosen)


def _refuse_one_class(data: Path, faces: LabelledFaces) -> None:
    if len(set(faces.labels.tolist())) < 2:
        raise DataError(
            f"{data}: expected faces of two or more classes to train on, got {_counts(faces)}; "
            "add faces of another class"
        )


def _of_the_same_classes(
    train: LabelledFaces, validation: LabelledFaces, notes: list[str]
) -> tuple[LabelledFaces, LabelledFaces]:
    """Restrict both parts to the classes that have training faces, and note what was left out.

    Raises:
        DataError: No validation face is of these classes.
    """
    present = tuple(name for label, name in enumerate(train.classes) if (train.labels == label).any())
    if absent := [name for name in train.classes if name not in present]:
        notes.append(f"left out the classes {', '.join(absent)}, which have no training faces")
    left_out = len(validation)
    found = _counts(validation)
    train, validation = _over(train, present, train.name), _over(validation, present, train.name)
    if not len(validation):
        raise DataError(f"validation: expected faces of {', '.join(present)}, got {found}; add faces of these classes")
    if left_out := left_out - len(validation):
        notes.append(f"left out {left_out} validation faces of classes that the training faces lack ({found})")
    return train, validation


def _over(faces: LabelledFaces, classes: tuple[str, ...], name: str) -> LabelledFaces:
    """Return the faces of some classes, relabelled as columns of these, under a label set's name."""
    column = np.array([classes.index(name) if name in classes else -1 for name in faces.classes], np.int64)
    kept = faces.take(column[faces.labels] >= 0)
    changes: dict[str, Any] = {"labels": column[kept.labels], "classes": classes, "name": name}
    return replace(kept, **changes)


def _counts(faces: LabelledFaces) -> str:
    counts = np.bincount(faces.labels, minlength=len(faces.classes))
    return ", ".join(f"{count} of {name}" for name, count in zip(faces.classes, counts, strict=True) if count)
