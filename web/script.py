"""The script that Streamlit runs for every visitor: the frame with the requested page in it."""

import logging

import streamlit as st

from moodspace.web.components.face_cards import notice
from moodspace.web.components.frame import banner, footer, navigation
from moodspace.web.components.theme import html
from moodspace.web.server.settings import current_settings
from moodspace.web.server.visitors import VisitorsError, this_visitor

logger = logging.getLogger(__name__)

page = navigation()
banner(keeps_taught=current_settings().gallery is not None)
body = st.container()
# Before the page runs, because a video takes long and the law must be visible meanwhile.
footer()
with body:
    try:
        visitor = this_visitor()
        with visitor.in_use():
            page.run()
    except VisitorsError as error:
        html(notice(str(error)))
    except Exception:  # its message may name a folder; Streamlit's rerun and stop derive from BaseException
        logger.exception("a page could not be shown")
        html(notice("This page could not be shown. Reload it; if that does not help, ask the operator of this server."))
# Tells `static/first_load.html` that all of the page was sent; an element of style alone takes no room.
st.html("<style>:root { --loaded: 1; }</style>")
