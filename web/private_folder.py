"""A place for what one visitor may keep for a while: in memory where the system has such folders."""

import os
import tempfile
from pathlib import Path

# Where there is one, what is written there never reaches a disk.
_MEMORY = Path("/dev/shm")


def private_folder() -> Path:
    """Makes an empty folder that only this program's user may look into; who asked for it removes it."""
    memory = str(_MEMORY) if os.access(_MEMORY, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="moodspace-", dir=memory))
