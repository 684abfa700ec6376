"""Map: the gallery in two dimensions, with the faces that the visitor taught."""

import streamlit as st

from moodspace.web.components.map import PATH
from moodspace.web.components.theme import heading, html
from moodspace.web.server.visitors import this_visitor

_EXPLANATION = """
<p class="faint">Each dot is a labeled face. Faces that the network finds similar lie close together, so groups are
expressions, and dots between groups are ambiguous faces. The axes have no meaning, and neither do distances between
groups that are far apart. Point at a dot for details, choose classes in the legend, search by class or name, or draw
around a group. A face that you teach appears next to its most similar faces. While the Live page of this browser runs,
the faces before its camera appear, too.</p>
"""

visitor = this_visitor()
heading("Map", "The expression space in two dimensions.")
with st.container(key="map"):
    st.iframe(f"{PATH}?generation={visitor.gallery.generation}", height=680)
html(_EXPLANATION)
