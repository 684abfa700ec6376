"""Faces that a visitor selected on the map: teach them, or give taught ones another class, as one lesson."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from moodspace.arrays import IntArray
from moodspace.index.taught.faces import NewFaces
from moodspace.web.components.map import PATH
from moodspace.web.components.teaching import TeachError, check_room, class_name
from moodspace.web.server.visitors import Visitor

_FOLDER = Path(__file__).parents[1] / "static" / "map"
# Maximum gallery faces of one lesson: more would outweigh what the visitor taught by example.
MOST_TAUGHT = 200
# Above this cosine a gallery face was taught already; embeddings are rounded to 16 bits.
_SAME = 0.9995


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Faces that are selected on the map.

    Attributes:
        rows: `(m,)` int64, rows of the bundle's gallery.
        taught: `(n,)` int64, ids of faces that the visitor taught.
    """

    rows: IntArray
    taught: IntArray

    def __len__(self) -> int:
        return len(self.rows) + len(self.taught)

    @property
    def summary(self) -> str:
        """What is selected, in plain text."""
        m, n = len(self.rows), len(self.taught)
        parts = [f"{m} from the gallery"] * bool(m) + [f"{n} that you taught"] * bool(n)
        return f"{len(self)} {'face' if len(self) == 1 else 'faces'} selected: {' and '.join(parts)}"

    @property
    def action(self) -> str:
        """What teaching them does, for a button."""
        m, n = len(self.rows), len(self.taught)
        faces = "face" if max(m, n) == 1 else "faces"
        if not n:
            return f"Teach {m} {faces}"
        return f"Teach {m} and relabel {n} {faces}" if m else f"Relabel {n} {faces}"


def show_map(generation: int) -> list[str]:
    """Show the map; return the ids of the faces that are selected on it.

    Args:
        generation: Changes whenever the map does.
    """
    texts = {path.suffix: path.read_text(encoding="utf-8") for path in _FOLDER.iterdir()}
    component = st.components.v2.component("moodspace_map", html=texts[".html"], css=texts[".css"], js=texts[".js"])
    shown = component(
        data={"path": f"{PATH}?generation={generation}"}, key="map frame", default={"selected": []},
        on_selected_change=lambda: None,
    )  # fmt: skip
    return list(shown.get("selected") or [])


def selection(visitor: Visitor, ids: Sequence[Any]) -> Selection:
    """Return the selected faces that exist; ids come from the browser and may be anything."""
    numbers = np.array(
        [int(one) for one in ids if isinstance(one, str) and one.isdecimal() and len(one) < 19], np.int64
    )
    rows = visitor.recognizer.bundle.index.rows(numbers)
    taught = [part.ids for part in visitor.gallery.rows(numbers[rows < 0])] if (rows < 0).any() else []
    return Selection(np.unique(rows[rows >= 0]), np.concatenate(taught) if taught else np.empty(0, np.int64))


def teach_selected(visitor: Visitor, chosen: Selection, typed: str) -> str:
    """Teach the selected gallery faces, and give the taught ones this class; return what was done, in plain text.

    Args:
        visitor: The visitor; hold its lock.
        chosen: The faces.
        typed: The class, as the visitor typed it.

    Raises:
        TeachError: The name is invalid, too many faces are selected, or nothing would change.
        GalleryError, StorageError: The gallery cannot be written.
    """
    name, gallery = class_name(typed), visitor.gallery
    if len(chosen.rows) > MOST_TAUGHT:
        raise TeachError(f"expected at most {MOST_TAUGHT} gallery faces, got {len(chosen.rows)}; select fewer")
    new = _new_faces(visitor, chosen.rows, name)
    check_room(gallery, len(new))
    done = gallery.relabel(chosen.taught, name, more=new)
    if not done.ids:
        raise TeachError(f"expected faces that are not taught as {name} yet, got none; choose another class")
    parts = [f"{len(new)} taught"] * bool(len(new)) + [f"{done.removed} relabeled"] * bool(done.removed)
    return f"{name}: {', '.join(parts)}."


def _new_faces(visitor: Visitor, rows: IntArray, name: str) -> NewFaces:
    """Return the gallery faces at these rows that are not taught yet."""
    stored = visitor.recognizer.bundle.index.gallery
    embeddings = stored.embeddings[rows]
    # The gallery rounds embeddings to 16 bits, so their length is no longer exactly 1.
    embeddings = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    if len(rows) and len(visitor.gallery):
        known = visitor.gallery.snapshot().search(embeddings, 1).similarities[:, 0] > _SAME
        rows, embeddings = rows[~known], embeddings[~known]
    n = len(rows)
    return NewFaces(embeddings, [name] * n, stored.sources[rows].tolist(), [""] * n)
