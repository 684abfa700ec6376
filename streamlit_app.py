"""The web app, for `cli.py web`, `streamlit run streamlit_app.py`, any ASGI server and Streamlit's cloud."""

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import streamlit as st
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware

from moodspace.web.components.map import map_route
from moodspace.web.live.socket import live_route
from moodspace.web.server.middleware import AuthMiddleware, UploadQuotaMiddleware
from moodspace.web.server.visitors import all_visitors


@contextlib.asynccontextmanager
async def _lifespan(_: st.App) -> AsyncIterator[None]:
    # Set up by Streamlit. Addresses have tokens in them; and who comes and goes is nobody's business.
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    visitors = await run_in_threadpool(all_visitors)
    yield
    await run_in_threadpool(visitors.close)


app = st.App(
    Path(__file__).with_name("web") / "script.py",
    routes=[live_route(), map_route()],
    middleware=[Middleware(AuthMiddleware), Middleware(UploadQuotaMiddleware)],
    lifespan=_lifespan,
)
