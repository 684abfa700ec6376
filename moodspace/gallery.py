"""Your own labelled faces, kept in one crash-safe SQLite file beside the bundle's gallery."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.bundles import shipped_bundle
from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.embeddings.data.labels import canonical
from moodspace.index.taught.faces import LIVE, NewFaces
from moodspace.index.taught.frozen import FrozenFaces, freeze
from moodspace.index.taught.search import TaughtIndex


class Gallery:
    """A gallery of taught faces. Use it in a `with` block, or close it.

    Args:
        folder: Where it is kept, made when missing; the default gallery of the command line when None.
        bundle: The bundle, or its folder, whose embeddings it holds; the one that ships when None.

    Raises:
        MoodspaceError: The gallery is damaged, or another encoder made it.
    """

    def __init__(self, folder: str | Path | None = None, *, bundle: Bundle | str | Path | None = None) -> None:
        from moodspace.index.taught.user_gallery import default_gallery, open_gallery

        loaded = (
            bundle
            if isinstance(bundle, Bundle)
            else load_bundle(Path(bundle) if bundle is not None else shipped_bundle())
        )
        self.folder = Path(folder) if folder is not None else default_gallery()
        self._opened = open_gallery(self.folder, loaded.encoder_spec, create=True)

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self._opened)

    @property
    def labels(self) -> dict[str, int]:
        """The number of faces of each class."""
        return dict(self._opened.summary().labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that have faces, sorted."""
        return self._opened.classes

    def examples(self, name: str, limit: int = 500) -> FloatArray:
        """Return the embeddings, `(n, d)` float32 unit rows, of up to `limit` newest faces of a class."""
        return self._opened.examples(canonical(name), limit)

    def add(
        self,
        embeddings: FloatArray,
        labels: Sequence[str],
        *,
        source: str = LIVE,
        pictures: ByteArray | None = None,
    ) -> list[int]:
        """Add faces as one lesson, all or none; one `undo` takes it back.

        Args:
            embeddings: `(n, d)` float32, rows of unit length.
            labels: n class names; a new name makes a new class.
            source: Where they came from, shown as evidence.
            pictures: `(n, 48, 48)` uint8 gray crops to keep in the gallery; None keeps none.

        Returns:
            Their ids.
        """
        names = [canonical(label) for label in labels]
        if len(names) != len(embeddings):
            raise ValueError(f"labels: expected {len(embeddings)}, one a face, got {len(names)}")
        if not len(embeddings):
            return []
        unit = np.asarray(embeddings, np.float32)
        kept = None if pictures is None else list(np.asarray(pictures))
        faces = NewFaces(unit, names, [source] * len(names), [""] * len(names), pictures=kept)
        return list(self._opened.add(faces).ids)

    def relabel(self, ids: Sequence[int], label: str) -> list[int]:
        """Teach taught faces as another class, as one lesson; `undo` gives them their earlier class again.

        Returns:
            Their new ids; faces that had this class already are left out.
        """
        return list(self._opened.relabel(ids, label).ids)

    def pictures(self, ids: Sequence[int]) -> dict[int, ByteArray]:
        """Return the crops that the gallery keeps, `(48, 48)` uint8 gray, by id of their face."""
        return self._opened.pictures(ids)

    def remove(self, label: str | None = None, *, ids: Sequence[int] = ()) -> int:
        """Remove a class, or faces by id; return how many faces were removed."""
        if (label is None) == (not len(ids)):
            raise ValueError("expected a label or ids, got both or neither")
        return self._opened.remove_label(canonical(label)) if label is not None else self._opened.remove(ids)

    def undo(self) -> int:
        """Take back the last lesson; return how many faces were removed or have their earlier class again."""
        undone = self._opened.undo()
        return sum(undone.labels.values()) if undone else 0

    def kneighbors(self, embeddings: FloatArray, n_neighbors: int = 5) -> tuple[FloatArray, IntArray]:
        """Find the most similar taught faces.

        Args:
            embeddings: `(n, d)` float32, rows of unit length.
            n_neighbors: How many faces to find for each row.

        Returns:
            Cosine similarities `(n, k)` float32, best first, and ids `(n, k)` int64, -1 where there are fewer.
        """
        found = self._opened.snapshot().search(np.asarray(embeddings, np.float32), n_neighbors)
        return found.similarities, found.ids

    def export(self, path: str | Path) -> int:
        """Write all faces to a parquet file, without pictures; return how many."""
        from moodspace.index.taught.exchange import export_gallery

        return export_gallery(self._opened, Path(path))

    def import_(self, path: str | Path) -> int:
        """Add the faces of an exported gallery that are not known yet; return how many were added."""
        from moodspace.index.taught.exchange import import_gallery

        return import_gallery(self._opened, Path(path))[0]

    def snapshot(self) -> TaughtIndex:
        """Return the gallery as it can be searched now; the same object while nothing changes."""
        return self._opened.snapshot()

    def frozen(self) -> FrozenFaces | None:
        """Return the faces as they are now, in memory; None if there are none."""
        return freeze(self._opened)
