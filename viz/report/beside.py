"""A recording that plays beside a report in step with it: the session's own video, a stimulus or a screen recording.

A small file is embedded in the page. A larger one is copied beside it, and the two stay one folder.
"""

import base64
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from moodspace.sessions import LONGEST_STEP_S, Session
from moodspace.viz.report.figures import clock
from moodspace.viz.theme import text

# What browsers play, by the ending of a file's name.
_TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm", ".ogv": "video/ogg",
    ".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".wav": "audio/wav", ".ogg": "audio/ogg", ".flac": "audio/flac",
}  # fmt: skip
# In base64, a larger file would make a page that opens slowly.
_MAX_EMBEDDED = 12 * 2**20
# A kept video has one frame, at this rate, in place of a gap.
_KEPT_FPS = 25.0

# From which second of the session, from which of the file, and for how many seconds, None for its rest.
Piece = tuple[float, float, float | None]


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """A recording beside a report.

    Attributes:
        name: Its file's name.
        type: Its media type, such as "video/mp4".
        pieces: Which part of it belongs to which part of the session, ordered by time.
        file: The name of the file beside the page; None if it is embedded.
        content: The embedded bytes.
    """

    name: str
    type: str
    pieces: list[Piece]
    file: str | None = None
    content: bytes = b""

    def player(self) -> str:
        """Return the player as HTML."""
        kind = self.type.partition("/")[0]
        source = "" if self.file is None else f' src="{text(quote(self.file))}"'
        began = self.pieces[0][0] - self.pieces[0][1]
        when = "begins with the session" if abs(began) < 0.05 else f"begins at {_signed_clock(began)} of the session"
        return (
            f'<div id="beside"><{kind} controls playsinline preload="auto"{source}></{kind}>'
            f'<p class="faint small">{text(self.name)}; it {when}.</p></div>'
        )

    def embedded(self) -> str:
        """Return the embedded bytes as HTML; empty if the file lies beside the page."""
        if self.file is not None:
            return ""
        content = base64.b64encode(self.content).decode()
        return f'<script type="text/plain" id="media" data-type="{self.type}">{content}</script>'


def put_beside(file: Path, page: Path, session: Session, *, offset: float | None = None) -> Beside:
    """Prepare a recording for a page: embed it, or copy it beside the page unless it lies there.

    Args:
        file: The recording, in a format that browsers play.
        page: The page that will play it.
        session: The session.
        offset: The session time in seconds at which the recording begins, negative if it began earlier. None for the
            beginning of the session; for the session's own video, also take its gaps into account.

    Raises:
        ValueError: The format is none of those, or the offset is not finite.
        OSError: The file cannot be read or copied.
    """
    kind = _TYPES.get(file.suffix.lower())
    if kind is None:
        expected = ", ".join(_TYPES)
        raise ValueError(
            f"{file}: expected a recording that browsers play ({expected}), got {file.suffix or 'no ending'}"
        )
    if offset is not None and not math.isfinite(offset):
        raise ValueError(f"offset: expected a number of seconds, got {offset}")
    own = offset is None and file.resolve().parent == session.folder.resolve() and session.keeps_video
    whole: list[Piece] = [(offset or 0.0, 0.0, None)]
    pieces = _kept_pieces(session) if own else whole
    if file.resolve().parent == page.resolve().parent:
        file.open("rb").close()
        return Beside(file.name, kind, pieces, file.name)
    if file.stat().st_size <= _MAX_EMBEDDED:
        return Beside(file.name, kind, pieces, content=file.read_bytes())
    copy = page.with_name(f"{page.stem}-beside{file.suffix.lower()}")
    partial = copy.with_name(f".{copy.name}.partial")
    try:
        shutil.copyfile(file, partial)
        partial.replace(copy)
    finally:
        partial.unlink(missing_ok=True)
    return Beside(file.name, kind, pieces, copy.name)


def _kept_pieces(session: Session) -> list[Piece]:
    """Return the pieces of the session's own video, which leaves gaps out."""
    pieces: list[Piece] = []
    at, shown = 0.0, 0.0
    for gap in session.gaps:
        if gap.stop - gap.start > LONGEST_STEP_S:
            pieces.append((at, shown, gap.start - at))
            shown += gap.start - at + 1 / _KEPT_FPS
            at = gap.stop
    return [*pieces, (at, shown, None)]


def _signed_clock(seconds: float) -> str:
    return clock(seconds) if seconds >= 0 else f"-{clock(-seconds)}"
