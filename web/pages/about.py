"""About: how it works, privacy, the law, the model card, limits, versions and licenses."""

import streamlit as st

from moodspace.web.components.about import licenses, limits_list, model_card, versions
from moodspace.web.components.frame import privacy
from moodspace.web.components.texts import HOW_IT_WORKS, MISUSE
from moodspace.web.components.theme import heading, html
from moodspace.web.server.settings import current_settings

settings = current_settings()
heading("About", "Facial expressions as a space that you can see, search and teach.")
pictures = privacy(keeps_taught=settings.gallery is not None, sends_from=settings.min_group if settings.to else None)
pictures = f'<article class="card"><h2>What happens to your pictures</h2>{pictures}</article>'
html(f'<div class="cards topics">{HOW_IT_WORKS}{pictures}{MISUSE}</div>')
html(f"<section><h2>Limits of this server</h2>{limits_list(settings.limits)}</section>")
html("<section><h2>Model card</h2></section>")
with st.container(border=True):
    st.markdown(model_card())
html(f"<section><h2>Versions</h2>{versions()}</section>")
with st.expander("Licenses and credits"):
    st.code(licenses(), language=None, wrap_lines=True)
