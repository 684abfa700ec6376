"""The script that Streamlit runs for every visitor: the frame, with the page they asked for in it."""

import streamlit as st

from web.face_cards import notice
from web.frame import banner, footer, navigation
from web.settings import current_settings
from web.theme import html
from web.visitors import VisitorsError, this_visitor

page = navigation()
banner(keeps_taught=current_settings().gallery is not None)
body = st.container()
# Before the page has run: a video takes its time, and the law is there meanwhile.
footer()
with body:
    try:
        this_visitor()
    except VisitorsError as error:
        html(notice(str(error)))
    else:
        page.run()
