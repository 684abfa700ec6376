"""Results as files to download: the documents of `moodspace predict --json`, and a table of the same."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

Document = dict[str, Any]

_LEADING = ("source", "time", "face", "left", "top", "width", "height", "expression", "confidence", "unknown",
            "reason")  # fmt: skip
_TRAILING = ("neighbor", "similarity")


def as_json(documents: Sequence[Document]) -> bytes:
    """Return documents as `moodspace predict --json` prints them: one per line, UTF-8."""
    return "".join(json.dumps(document, allow_nan=False) + "\n" for document in documents).encode()


def as_csv(documents: Sequence[Document]) -> bytes:
    """Return a CSV table with one row per face and one column per class.

    The time of faces in pictures is empty. A video without a face has no row.

    Args:
        documents: Documents of pictures and videos, as in `moodspace.realtime.documents`.
    """
    rows = [row for document in documents for row in _rows(document)]
    classes = dict.fromkeys(name for row in rows for name in row["probabilities"])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_LEADING, *classes, *_TRAILING])
    for row in rows:
        probabilities = [row["probabilities"].get(name, "") for name in classes]
        writer.writerow([*(row[name] for name in _LEADING), *probabilities, *(row[name] for name in _TRAILING)])
    return out.getvalue().encode()


def named_after(source: str, suffix: str) -> str:
    """Return the name of a download: the name of its source without folder and suffix, plus `suffix`."""
    return f"{PurePath(source.replace(chr(92), '/')).stem or 'moodspace'}{suffix}"


def _rows(document: Document) -> Iterator[Document]:
    frames = document.get("frames") or [{"time": "", "faces": document.get("faces", [])}]
    for frame in frames:
        for number, face in enumerate(frame["faces"], 1):
            box = dict(zip(("left", "top", "width", "height"), face["xywh"], strict=True))
            nearest = face["neighbors"][0] if face["neighbors"] else {"label": "", "similarity": ""}
            evidence = {"neighbor": nearest["label"] or "", "similarity": nearest["similarity"]}
            reason = {"reason": (face.get("quality") or {}).get("reason") or ""}
            yield {
                **reason,
                "source": document["source"],
                "time": frame["time"],
                "face": number,
                **box,
                **face,
                **evidence,
            }
