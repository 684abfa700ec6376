"""The findings about a data set as one JSON document, and as a short summary in text."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from moodspace.arrays import IntArray
from moodspace.embeddings.data.labels import FERPLUS_CLASSES, VOTE_COLUMNS, canonical, targets_from_votes
from moodspace.viz.explore.copies import NEAR
from moodspace.viz.explore.exploration import Exploration

TOP = 50  # number of likely label errors to show and to compare with the annotators' votes


def to_document(found: Exploration) -> dict[str, Any]:
    """Return all findings as plain JSON values."""
    data = found.data
    counts = dict(zip(data.names, data.counts.T.tolist(), strict=True))
    return {
        "faces": len(data),
        "classes": list(data.faces.classes),
        "parts": {
            name: {
                "faces": sum(counts[name]),
                "unreadable": sum(one.part == name for one in data.unreadable),
                "counts": dict(zip(data.faces.classes, counts[name], strict=True)),
            }
            for name in data.names
        },
        "unreadable": [one._asdict() for one in data.unreadable],
        "blank": [face_record(found, row) for row in found.blank],
        "light": _light(found),
        "identical": _identical(found),
        "twins": _twins(found),
        "near": _near(found),
        "label_errors": _label_errors(found),
    }


def face_record(found: Exploration, row: int | np.integer[Any]) -> dict[str, str]:
    """Return the part, source and label of a face."""
    faces = found.data.faces
    return {
        "part": found.data.names[found.data.part[row]],
        "source": faces.sources[row],
        "label": faces.classes[faces.labels[row]],
    }


def different_labels(found: Exploration) -> list[IntArray]:
    """Return the groups of identical faces with different labels; at least one label of each group is wrong."""
    labels = found.data.faces.labels
    return [rows for rows in found.copies.groups if len(set(labels[rows].tolist())) > 1]


def votes_of(found: Exploration, row: int | np.integer[Any]) -> dict[str, int]:
    """Return the votes of a face's annotators by class, most votes first; empty where the data have no votes."""
    votes = found.data.faces.votes
    if votes is None:
        return {}
    counted = [(name, int(count)) for name, count in zip(VOTE_COLUMNS, votes[row], strict=True) if count]
    return dict(sorted(counted, key=lambda one: -one[1]))


def summary(document: dict[str, Any]) -> Iterator[str]:
    """Yield the findings as lines of text."""
    parts = ", ".join(f"{name} {part['faces']:,}" for name, part in document["parts"].items())
    yield f"{document['faces']:,} faces, {len(document['light'])} classes: {parts}"
    yield f"unreadable: {len(document['unreadable']):,}; blank: {len(document['blank']):,}"
    same, near, errors = document["identical"], document["near"], document["label_errors"]
    groups = f"{same['groups']:,} groups, {same['other_label']:,} of them with different labels"
    yield f"identical pixels: {same['faces']:,} faces in {groups}"
    for pair in same["across"]:
        (one, other), (n_one, n_other) = pair["parts"], pair["faces"]
        yield f"  in both parts: {n_one:,} faces of {one}, {n_other:,} of {other}"
    kinds = f"{near['across']:,} across parts, {near['other_label']:,} with different labels"
    yield f"near copies: {near['pairs']:,} pairs, {kinds}"
    if errors is not None:
        yield f"likely label errors: {errors['likely']:,} of {errors['judged']:,} faces checked"


def _light(found: Exploration) -> dict[str, Any]:
    labels, classes = found.data.faces.labels, found.data.faces.classes
    return {
        name: {
            measure: dict(zip(("p5", "median", "p95"), np.quantile(values, (0.05, 0.5, 0.95)).tolist(), strict=True))
            for measure, values in (
                ("brightness", found.brightness[labels == column].astype(np.float64)),
                ("contrast", found.contrast[labels == column].astype(np.float64)),
            )
        }
        for column, name in enumerate(classes)
        if (labels == column).any()
    }


def _identical(found: Exploration) -> dict[str, Any]:
    names, part, groups = found.data.names, found.data.part, found.copies.groups
    # Faces of each image (row) in each part (column).
    spread = np.zeros((len(groups), len(names)), np.int64)
    for number, rows in enumerate(groups):
        np.add.at(spread[number], part[rows], 1)
    across = []
    for one, other in combinations(range(len(names)), 2):
        both = spread[(spread[:, one] > 0) & (spread[:, other] > 0)][:, [one, other]]
        if len(both):
            across.append({
                "parts": [names[one], names[other]],
                "groups": len(both),
                "faces": both.sum(axis=0).tolist(),
                "pairs": int(both.prod(axis=1).sum()),
            })  # fmt: skip
    return {
        "groups": len(groups),
        "faces": int(spread.sum()),
        "other_label": len(different_labels(found)),
        "within": {name: int(column[column > 1].sum()) for name, column in zip(names, spread.T, strict=True)},
        "across": across,
        "list": [[face_record(found, row) for row in rows] for rows in groups],
    }


def _twins(found: Exploration) -> dict[str, dict[str, int]]:
    """Compare the copies that the data mark as twins with the copies found; empty if the data mark none."""
    part, twin = found.data.part, found.data.faces.twin
    if not twin.any():
        return {}
    at_hand = np.zeros(len(part), bool)
    for rows in found.copies.groups:
        at_hand[rows] = len(set(part[rows].tolist())) > 1
    return {
        name: {
            "marked": int((own & twin).sum()),
            "found": int((own & twin & at_hand).sum()),
            "elsewhere": int((own & twin & ~at_hand).sum()),
            "unmarked": int((own & ~twin & at_hand).sum()),
        }
        for name, own in ((name, part == number) for number, name in enumerate(found.data.names))
    }


def _near(found: Exploration) -> dict[str, Any]:
    copies, labels, part = found.copies, found.data.faces.labels, found.data.part
    one, other = copies.pairs.T
    return {
        "threshold": NEAR,
        "pairs": len(copies.pairs),
        "mirrored": int(copies.mirrored.sum()),
        "across": int((part[one] != part[other]).sum()),
        "other_label": int((labels[one] != labels[other]).sum()),
        "list": [
            {
                "faces": [face_record(found, row) for row in pair],
                "similarity": round(float(similarity), 4),
                "mirrored": bool(mirrored),
            }
            for pair, similarity, mirrored in zip(copies.pairs, copies.similarity, copies.mirrored, strict=True)
        ],
    }


def _label_errors(found: Exploration) -> dict[str, Any] | None:
    if (errors := found.errors) is None:
        return None
    faces = found.data.faces
    listed = [
        {
            **face_record(found, row),
            "suggested": faces.classes[column],
            "probability_label": round(float(errors.proba[row, faces.labels[row]]), 4),
            "probability_suggested": round(float(errors.proba[row, column]), 4),
            "learned": bool(errors.learned[row]),
            "votes": votes_of(found, row),
        }
        for row, column in zip(errors.rows, errors.suggested, strict=True)
    ]
    return {
        "judged": int(errors.judged.sum()),
        "likely": len(errors.rows),
        "learned": int(errors.learned.sum()),
        "agreement_learned": errors.agreement(faces.labels, True),
        "agreement_unseen": errors.agreement(faces.labels, False),
        "people": _people(found),
        "list": listed,
    }


def _people(found: Exploration) -> dict[str, int] | None:
    """Compare the `TOP` likeliest errors with the annotators' majority; None where the data have no votes."""
    faces, errors = found.data.faces, found.errors
    if faces.votes is None or errors is None:
        return None
    rows, suggested = errors.rows[:TOP], errors.suggested[:TOP]
    seen = [FERPLUS_CLASSES[column] if column >= 0 else None for column in targets_from_votes(faces.votes[rows]).labels]
    label = [canonical(faces.classes[column]) for column in faces.labels[rows]]
    better = [canonical(faces.classes[column]) for column in suggested]
    return {
        "asked": len(rows),
        "agreed": sum(one is not None for one in seen),
        "saw_label": sum(map(str.__eq__, label, map(str, seen))),
        "saw_suggested": sum(map(str.__eq__, better, map(str, seen))),
    }
