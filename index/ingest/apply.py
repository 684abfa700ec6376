"""Apply a sync plan to the user's gallery, a few files at a time, each batch in one transaction.

An interruption, such as Ctrl-C or a full disk, keeps the finished batches; the next run continues from there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.data.labelled import Progress, Skipped
from moodspace.index.taught.sync_plan import DUPLICATE, FACES, FAILED, NONE, Duplicate, FileState, SyncPlan


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedFile:
    """The result of reading one picture file.

    Attributes:
        path: The file.
        sha256: The SHA-256 of its content, 64 hexadecimal digits; empty if it could not be opened.
        embedding: `(d,)` float32 of unit length; None if there is no face.
        digest: The SHA-256 of the face's crop, 64 hexadecimal digits; empty if there is no face.
        others: How many more faces the picture shows.
        reason: Why there is no face, in words; empty if there is one.
        readable: Whether the file could be opened and was a picture.
        lasting: Whether the result depends on the file alone, so that reading it again before it changes is useless.
        crop: `(48, 48)` uint8 gray in [0, 255], the face; None if there is none.
    """

    path: str
    sha256: str = ""
    embedding: FloatArray | None = None
    digest: str = ""
    others: int = 0
    reason: str = ""
    readable: bool = True
    lasting: bool = True
    crop: ByteArray | None = None


EmbeddedBatches = Iterable[Sequence[EmbeddedFile]]


class FolderWriter(Protocol):
    """Write the faces of one folder to the user's gallery."""

    def record(
        self,
        files: Sequence[FileState],
        embeddings: FloatArray,
        digests: Sequence[str],
        pictures: Sequence[ByteArray | None] | None = None,
    ) -> None:
        """Replace the records and faces of these files, in one transaction.

        Args:
            files: The present state of the files. Their previous faces are removed.
            embeddings: `(m, d)` float32, unit rows: the new face of each file with status `FACES`, in order.
            digests: The SHA-256 of each new face's crop.
            pictures: The crops to keep with the faces; None keeps none.
        """
        ...

    def touch(self, files: Sequence[FileState]) -> None:
        """Update the size and time of files whose faces stay, in one transaction."""
        ...

    def drop(self, paths: Sequence[str]) -> None:
        """Remove files and their faces, in one transaction."""
        ...


@dataclass(slots=True)
class SyncReport:
    """The result of syncing one folder or several.

    Attributes:
        added: How many faces were added.
        changed: How many faces were replaced.
        removed: How many files were removed.
        unchanged: How many files did not change.
        forgotten: How many files are left out because the user removed their face.
        others: How many faces were left out because their picture shows a larger one.
        duplicate: Files with the same content as another one, and the path of that one.
        failed: Files without a face, and why.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    forgotten: int = 0
    others: int = 0
    duplicate: list[Duplicate] = field(default_factory=list)
    failed: list[Skipped] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return all fields as plain JSON values."""
        return asdict(self) | {
            "duplicate": [{"source": one.file.path, "of": one.of} for one in self.duplicate],
            "failed": [{"source": one.source, "reason": one.reason} for one in self.failed],
        }

    def in_words(self) -> str:
        """Return the counts in one line, the rarer ones only if they are not 0."""
        counts = {"added": self.added, "changed": self.changed, "removed": self.removed, "unchanged": self.unchanged}
        rare = {
            "still forgotten": self.forgotten,
            "duplicates": len(self.duplicate),
            "failed": len(self.failed),
            "smaller faces left out": self.others,
        }
        return ", ".join(f"{n} {what}" for what, n in (counts | {what: n for what, n in rare.items() if n}).items())

    def join(self, other: "SyncReport") -> None:
        """Add the result of another folder."""
        for name in ("added", "changed", "removed", "unchanged", "forgotten", "others"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.duplicate += other.duplicate
        self.failed += other.failed


def planned(plan: SyncPlan) -> SyncReport:
    """Return the expected result of a plan, as if every file had a face."""
    return SyncReport(
        added=len(plan.new),
        changed=len(plan.changed),
        removed=len(plan.removed),
        unchanged=plan.unchanged,
        forgotten=plan.forgotten + len(plan.stay),
        duplicate=list(plan.duplicate),
        failed=list(plan.failed),
    )


def apply_sync(
    writer: FolderWriter,
    plan: SyncPlan,
    embedded: EmbeddedBatches,
    dim: int,
    progress: Progress | None = None,
    *,
    keep_pictures: bool = False,
) -> SyncReport:
    """Bring the gallery in line with a folder.

    Args:
        writer: Writes the folder's faces.
        plan: What to do.
        embedded: The results of the files of `plan.to_embed`, in order, a few at a time.
        dim: Length of an embedding.
        progress: Called with the number of files done and the total, after each transaction.
        keep_pictures: Whether to keep the crops of the faces in the gallery.

    Raises:
        GalleryError: The gallery cannot be written.
    """
    report = replace(planned(plan), added=0, changed=0)
    if plan.removed:
        writer.drop(plan.removed)
    changed = {file.path for file in plan.changed}
    outcome: dict[str, FileState] = {}
    for part in embedded:
        start = len(outcome)
        files = [_state(file, one) for file, one in zip(plan.to_embed[start : start + len(part)], part, strict=True)]
        outcome |= {file.path: file for file in files}
        _record(writer, files, part, dim, keep_pictures=keep_pictures)
        faces = [one.path for one in part if one.embedding is not None]
        report.changed += sum(path in changed for path in faces)
        report.added += sum(path not in changed for path in faces)
        report.others += sum(one.others for one in part)
        report.failed += [Skipped(one.path, one.reason) for one in part if one.embedding is None]
        if progress:
            progress(len(outcome), len(plan.to_embed))
    _record_unread(writer, plan, outcome, report, dim)
    return report


def _state(file: FileState, one: EmbeddedFile) -> FileState:
    status = FACES if one.embedding is not None else NONE if one.readable else FAILED
    # A result that may differ next time is stored with an impossible time, so that the file is read again.
    return replace(
        file, sha256=one.sha256, status=status, reason=one.reason, mtime_ns=file.mtime_ns if one.lasting else -1
    )


def _record(
    writer: FolderWriter, files: Sequence[FileState], part: Sequence[EmbeddedFile], dim: int, *, keep_pictures: bool
) -> None:
    shown = [one for one in part if one.embedding is not None]
    embeddings = np.array([one.embedding for one in shown], np.float32).reshape(-1, dim)
    pictures = [one.crop for one in shown] if keep_pictures else None
    writer.record(files, embeddings, [one.digest for one in shown], pictures)


def _record_unread(
    writer: FolderWriter, plan: SyncPlan, outcome: dict[str, FileState], report: SyncReport, dim: int
) -> None:
    """Record the files that were not read. A duplicate of a file without a face has no face either."""
    report.duplicate = []
    states = list(plan.stay)
    for file, of in plan.duplicate:
        twin = outcome.get(of)
        if twin is None or twin.status == FACES:
            report.duplicate.append(Duplicate(file, of))
            noted = replace(file, status=DUPLICATE, reason=f"holds the same as {of}")
            if noted != file:
                states.append(noted)
        else:
            report.failed.append(Skipped(file.path, twin.reason))
            states.append(replace(file, status=twin.status, reason=twin.reason))
    if states:
        writer.record(states, np.empty((0, dim), np.float32), [])
    if plan.touched:
        writer.touch(plan.touched)
