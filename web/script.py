"""The script that Streamlit runs for every visitor: the frame, with the page they asked for in it."""

import streamlit as st

from web.frame import banner, footer, navigation

page = navigation()
banner(keeps_taught=False)
body = st.container()
# Before the page has run: a video takes its time, and the law is there meanwhile.
footer()
with body:
    page.run()
