"""Map: the gallery as a landscape, with the faces that the visitor taught in it."""

import streamlit as st

from web.map_route import PATH
from web.theme import heading, html
from web.visitors import this_visitor

_WORDS = """
<p class="faint">Each dot is a labelled face. Dots lie close where the network finds the faces alike, so islands are
expressions and bridges are doubt. Axes mean nothing, and neither do distances between far islands. Point at a dot to
see what it is, choose classes in the legend, search by name, draw around a group. What you teach appears among its most
similar faces.</p>
"""

visitor = this_visitor()
heading("Map", "The space of expressions, drawn flat.")
with st.container(key="map"):
    st.iframe(f"{PATH}?generation={visitor.gallery.generation}", height=680)
html(_WORDS)
