"""The web app for `streamlit run streamlit_app.py` and Streamlit's cloud; `moodspace.web.app` defines it."""

import streamlit as st

from moodspace.web.app import SCRIPT, app_options

# Streamlit looks for an assignment of this form in the source, so the app cannot be imported ready-made.
app = st.App(SCRIPT, **app_options())
