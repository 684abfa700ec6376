"""Limit the memory that all uploads of one visitor take. Pure ASGI.

Streamlit bounds each file, and keeps any number of them for as long as their page is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from web.bounded import ALLOWANCE, UPLOADS, Bounded, refuse, stated_length
from web.visitors import Visitors, all_visitors

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_NO_VISIT = 403, "expected an open page, got none; reload the page and try again"
_NO_ROOM = 413, "expected fewer or smaller files at once; remove some files first"


class Uploads:
    """ASGI middleware that takes files from pages of visitors who are there, as long as these have room for them.

    Args:
        app: What keeps them.
        visitors: Says who is there.
        held: How many bytes of files are kept for some Streamlit sessions, by their ids.
    """

    def __init__(
        self,
        app: ASGIApp,
        visitors: Callable[[], Visitors] = all_visitors,
        held: Callable[[Iterable[str]], int] | None = None,
    ) -> None:
        self.app, self._visitors, self._held = app, visitors, held or held_by_streamlit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse its file."""
        if scope["type"] == "http" and scope["method"] == "PUT" and scope["path"].startswith(UPLOADS):
            await self._take(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        all_ = self._visitors()
        limits = all_.settings.limits
        visitor = all_.with_script(scope["path"].removeprefix(UPLOADS).partition("/")[0])
        if visitor is None:
            await refuse(send, *_NO_VISIT)
            return
        most = max(limits.upload_bytes, limits.video_bytes) + ALLOWANCE
        asked = min(stated_length(scope) or most, most)
        if self._held(visitor.scripts) + visitor.uploading + asked > limits.held_bytes:
            await refuse(send, *_NO_ROOM)
            return
        visitor.uploading += asked
        try:
            await Bounded(self.app, asked)(scope, receive, send)
        finally:
            visitor.uploading -= asked


def held_by_streamlit(sessions: Iterable[str]) -> int:
    """Return how many bytes of files Streamlit keeps for some of its sessions."""
    from streamlit import runtime
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

    manager = runtime.get_instance().uploaded_file_mgr
    if not isinstance(manager, MemoryUploadedFileManager):
        return 0
    kept = [file for one in sessions for file in list(manager.file_storage.get(one, {}).values())]
    return sum(len(file.data) for file in kept)
