"""The notice before the first live session: what is computed, what is kept, consent and the law."""

import logging
from pathlib import Path

logger = logging.getLogger(__name__)

NOTICE = """\
Before you start - this is shown once.
What is computed: where the faces in view are, and which expression each of them shows. This is a guess from a
  picture and often wrong. It does not say what somebody feels, thinks or means, or who somebody is.
What is kept: nothing, and nothing leaves this machine, unless you ask for it: a session (--record), a picture (key s),
  the numbers that describe a face that you teach (keys 1-9 and n), and values for other programs (--to).
Consent: ask everybody in view before you start, and stop if somebody objects.
The law: the European Union prohibits systems that infer emotions of people at work and in schools, except for medical
  or safety reasons (AI Act, Regulation (EU) 2024/1689, Article 5(1)(f)). Do not use this there."""

SENDING = "Sending values to other programs: get consent from everyone in view, and tell them who receives the values."
RECORDING = "Recording: get consent from everyone in view, and delete the recording when it is no longer needed."

# Increase the number when the notice says something new, so that everybody sees it again.
_MARKER = "start-notice-2"


def start_notice(*, recording: bool, sending: bool = False, folder: Path | None = None) -> str | None:
    """Return the notice to show before a live session starts, and remember that it was shown.

    Args:
        recording: Whether the session is recorded; that line is shown every time.
        sending: Whether values are sent to other programs; that line is shown every time.
        folder: Where to remember it; by default the user's state folder. If it is not writable, the notice is shown
            every time.

    Returns:
        The whole notice the first time; later the lines about recording and sending, or None.
    """
    parts = [] if _was_shown(folder or _state_folder()) else [NOTICE]
    if recording:
        parts.append(RECORDING)
    if sending:
        parts.append(SENDING)
    return "\n".join(parts) or None


def _was_shown(folder: Path) -> bool:
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
