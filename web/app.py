"""The web app as an ASGI application, for `moodspace web`, `streamlit run` and any ASGI server."""

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from moodspace.web.components.face_route import face_route
from moodspace.web.components.map import map_route
from moodspace.web.live.socket import live_route
from moodspace.web.server.first_load import FirstLoadMiddleware
from moodspace.web.server.marks import mark_route
from moodspace.web.server.middleware import AuthMiddleware, UploadQuotaMiddleware
from moodspace.web.server.visitors import all_visitors

# Streamlit also reads its configuration from `.streamlit/config.toml` beside this script.
SCRIPT = Path(__file__).with_name("script.py")


def create_app() -> st.App:
    """Create the application: `uvicorn --factory moodspace.web.app:create_app`."""
    return st.App(SCRIPT, **app_options())


def app_options() -> dict[str, Any]:
    """Return the keyword arguments of `st.App`: routes, middleware and lifespan."""
    return {
        "routes": [live_route(), map_route(), face_route(), mark_route()],
        "middleware": [Middleware(AuthMiddleware), Middleware(UploadQuotaMiddleware), Middleware(FirstLoadMiddleware)],
        "lifespan": _lifespan,
    }


@contextlib.asynccontextmanager
async def _lifespan(_: st.App) -> AsyncIterator[None]:
    # Streamlit enables these logs. Addresses contain tokens, and visits are private.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    visitors = await run_in_threadpool(all_visitors)
    yield
    await run_in_threadpool(visitors.close)
