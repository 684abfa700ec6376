"""What a person is told before the first live session: what is computed, what is kept, consent and the law."""

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

NOTICE = """\
Before you start - this is shown once.
What is computed: where the faces in view are, and which expression each of them shows. That is a guess about a
  picture, often a wrong one. It does not say what somebody feels, thinks or means, nor who somebody is.
What is kept: nothing, and nothing leaves this machine. Only what you ask for is kept: a session (--record), a picture
  (key s), and of a face that you teach (keys 1-9 and n) the numbers that describe it, to know it by.
Consent: ask everybody in view before you start, and stop when somebody minds.
The law: the European Union prohibits systems that infer emotions of people at work and in schools, except for medical
  or safety reasons (AI Act, Regulation (EU) 2024/1689, Article 5(1)(f)). Do not use this there."""

RECORDING = "Recording: get consent from everyone in view, and delete the recording when it is no longer needed."

# Numbered: a notice that says something new is shown again, to everybody.
_MARKER = "start-notice-1"


def start_notice(*, recording: bool, folder: Path | None = None) -> str | None:
    """Returns what to tell before a live session starts, and takes note that it was told.

    Args:
        recording: Whether the session is kept, which is told each time.
        folder: Where the note is kept; by default the user's folder for the state of programs. Where none can be kept
            there, the notice is told each time.

    Returns:
        The whole notice the first time; later None, or the line on recording.
    """
    parts = [] if _was_told(folder or _state_folder()) else [NOTICE]
    if recording:
        parts.append(RECORDING)
    return "\n".join(parts) or None


def _was_told(folder: Path) -> bool:
    marker = folder / _MARKER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        marker.touch(exist_ok=False)
    except FileExistsError:
        return marker.is_file()
    except OSError as error:
        logger.debug("%s: cannot be written (%s)", marker, error)
    return False


def _state_folder() -> Path:
    from platformdirs import user_state_path

    return user_state_path("moodspace", appauthor=False)
