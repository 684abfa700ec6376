"""Carries out what a folder asks of the user's gallery, a few files at a time, each time in one transaction.

What stops it, Ctrl-C or a full disk, leaves what was done so far: the next run finds it done and goes on.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.embeddings.data.labelled import Progress, Skipped
from moodspace.index.taught.sync_plan import DUPLICATE, FACES, FAILED, NONE, Duplicate, FileState, SyncPlan


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedFile:
    """A picture file that was read.

    Attributes:
        path: Which one.
        sha256: Of its content, 64 hexadecimal digits; empty where it could not be opened.
        embedding: `(d,)` float32 of unit length, or None where there is no face.
        digest: The SHA-256 of the face's crop, 64 hexadecimal digits; empty where there is no face.
        others: How many more faces the picture shows.
        reason: Why there is no face, for people to read; empty where there is one.
        readable: Whether the file could be opened and was a picture.
        lasting: Whether the outcome is the file's own, so that there is no use in trying again before it changes.
    """

    path: str
    sha256: str = ""
    embedding: FloatArray | None = None
    digest: str = ""
    others: int = 0
    reason: str = ""
    readable: bool = True
    lasting: bool = True


Embed = Callable[[Sequence[str]], Iterable[Sequence[EmbeddedFile]]]


class FolderWriter(Protocol):
    """The part of the user's gallery that belongs to one folder, open for writing."""

    def record(self, files: Sequence[FileState], embeddings: FloatArray, digests: Sequence[str]) -> None:
        """Replaces what is known of these files, in one transaction.

        Args:
            files: As they are now. The faces that the gallery has of them leave it.
            embeddings: `(m, d)` float32, unit rows: the new face of each file with status `FACES`, in their order.
            digests: The SHA-256 of each new face's crop.
        """
        ...

    def touch(self, files: Sequence[FileState]) -> None:
        """Notes the present size and time of files whose faces stay, in one transaction."""
        ...

    def drop(self, paths: Sequence[str]) -> None:
        """Forgets files and their faces, in one transaction."""
        ...


@dataclass(slots=True)
class SyncReport:
    """What became of the files of one folder or several.

    Attributes:
        added: How many faces came in.
        changed: How many were replaced.
        removed: How many files left.
        unchanged: How many stayed.
        forgotten: How many stay out because their face was forgotten on request.
        others: How many faces were left out beside the largest of their picture.
        duplicate: Files that hold the same as another, with that one's path.
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
        """Returns all of it as plain values."""
        return asdict(self) | {
            "duplicate": [{"source": one.file.path, "of": one.of} for one in self.duplicate],
            "failed": [{"source": one.source, "reason": one.reason} for one in self.failed],
        }

    def in_words(self) -> str:
        """Returns the counts in one line, without those that are 0 and seldom are not."""
        counts = {"added": self.added, "changed": self.changed, "removed": self.removed, "unchanged": self.unchanged}
        seldom = {
            "stay forgotten": self.forgotten,
            "hold the same as another": len(self.duplicate),
            "failed": len(self.failed),
            "smaller faces beside the largest left out": self.others,
        }
        return ", ".join(f"{n} {what}" for what, n in (counts | {what: n for what, n in seldom.items() if n}).items())

    def join(self, other: "SyncReport") -> None:
        """Adds what became of another folder's files."""
        for name in ("added", "changed", "removed", "unchanged", "forgotten", "others"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.duplicate += other.duplicate
        self.failed += other.failed


def planned(plan: SyncPlan) -> SyncReport:
    """Returns what a plan will come to if every file has a face."""
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
    writer: FolderWriter, plan: SyncPlan, embed: Embed, dim: int, progress: Progress | None = None
) -> SyncReport:
    """Brings the gallery in line with a folder.

    Args:
        writer: The gallery's part for this folder.
        plan: What to do.
        embed: Reads files and embeds the face in each; yields a few at a time, in order.
        dim: How many numbers an embedding has.
        progress: Called with the number of files read and the total.

    Raises:
        GalleryError: the gallery cannot be written.
    """
    report = replace(planned(plan), added=0, changed=0)
    if plan.removed:
        writer.drop(plan.removed)
    changed = {file.path for file in plan.changed}
    outcome: dict[str, FileState] = {}
    for part in embed([file.path for file in plan.to_embed]):
        start = len(outcome)
        files = [_state(file, one) for file, one in zip(plan.to_embed[start : start + len(part)], part, strict=True)]
        outcome |= {file.path: file for file in files}
        _record(writer, files, part, dim)
        faces = [one.path for one in part if one.embedding is not None]
        report.changed += sum(path in changed for path in faces)
        report.added += sum(path not in changed for path in faces)
        report.others += sum(one.others for one in part)
        report.failed += [Skipped(one.path, one.reason) for one in part if one.embedding is None]
        if progress:
            progress(len(outcome), len(plan.to_embed))
    _stand_back(writer, plan, outcome, report, dim)
    return report


def _state(file: FileState, one: EmbeddedFile) -> FileState:
    status = FACES if one.embedding is not None else NONE if one.readable else FAILED
    # What may be otherwise at the next try is remembered with a time that no file has, so that it is tried again.
    return replace(
        file, sha256=one.sha256, status=status, reason=one.reason, mtime_ns=file.mtime_ns if one.lasting else -1
    )


def _record(writer: FolderWriter, files: Sequence[FileState], part: Sequence[EmbeddedFile], dim: int) -> None:
    embeddings = [one.embedding for one in part if one.embedding is not None]
    digests = [one.digest for one in part if one.embedding is not None]
    writer.record(files, np.array(embeddings, np.float32).reshape(-1, dim), digests)


def _stand_back(
    writer: FolderWriter, plan: SyncPlan, outcome: dict[str, FileState], report: SyncReport, dim: int
) -> None:
    """Notes the files that need no reading. One that holds the same as a file without a face has none either."""
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
