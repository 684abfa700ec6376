"""The web app, for `cli.py web`, `streamlit run streamlit_app.py`, any ASGI server and Streamlit's cloud."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from web.guard import Guard
from web.live_socket import live_route
from web.map_route import map_route

app = st.App(
    Path(__file__).with_name("web") / "script.py",
    routes=[live_route(), map_route()],
    middleware=[Middleware(Guard)],
)
