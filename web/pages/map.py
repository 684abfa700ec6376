"""Map: the gallery in two dimensions, with the faces that the visitor taught."""

import streamlit as st

from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.web.components.face_cards import notice
from moodspace.web.components.map_selection import Selection, selection, show_map, teach_selected
from moodspace.web.components.teaching import TeachError, public_message
from moodspace.web.components.theme import heading, html
from moodspace.web.server.visitors import Visitor, VisitorsError, this_visitor

_EXPLANATION = """
<p class="faint">Each dot is a labeled face. Faces that the network finds similar lie close together, so groups are
expressions, and dots between groups are ambiguous faces. The axes have no meaning, and neither do distances between
groups that are far apart. Point at a dot for details, choose classes in the legend, search by class or name, or draw
around a group: the faces that you select can be taught as a class, and those that you taught get another one. A face
that you teach appears next to its most similar faces. While the Live page of this browser runs, the faces before its
camera appear, too.</p>
"""
# Session state: the message for the next run; the number of lessons, which empties the form by its keys.
_MESSAGE, _LESSONS = "map message", "map lesson"


def _teach(visitor: Visitor, chosen: Selection) -> None:
    """Ask for a class, and teach the selected faces."""
    number = st.session_state.setdefault(_LESSONS, 0)
    html(f"<p><b>{chosen.summary}.</b></p>")
    known = st.pills("Expression", visitor.classes, key=f"map class {number}", wrap=True)
    new = st.text_input("Or a new class", placeholder="confused, thinking, bored ...", key=f"map new {number}")
    if st.button(chosen.action, type="primary", icon=":material/school:"):
        try:
            with visitor.lock:
                st.session_state[_MESSAGE] = teach_selected(visitor, chosen, new or known or "")
        except (TeachError, GalleryError, StorageError) as error:
            html(notice(public_message(error)))
            return
        st.session_state[_LESSONS] += 1
        st.rerun()


def _undo(visitor: Visitor) -> None:
    try:
        with visitor.in_use(), visitor.lock:
            undone = visitor.gallery.undo()
        st.session_state[_MESSAGE] = f"Undone: {undone.summary}." if undone else "Nothing to undo."
    except (VisitorsError, GalleryError, StorageError) as error:
        st.session_state[_MESSAGE] = public_message(error)


visitor = this_visitor()
heading("Map", "The expression space in two dimensions.")
with st.container(key="map"):
    selected = show_map(visitor.gallery.generation)
if chosen := selection(visitor, selected):
    _teach(visitor, chosen)
if message := st.session_state.pop(_MESSAGE, None):
    html(notice(message, wrong=False))
if len(visitor.gallery):
    st.button("Undo last", icon=":material/undo:", on_click=_undo, args=(visitor,))
html(_EXPLANATION)
