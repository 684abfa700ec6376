"""About: how it works, privacy, the law, the model card, limits, versions and licenses."""

import streamlit as st

from moodspace.web.components.about import licenses, limits_list, model_card, versions
from moodspace.web.components.frame import privacy
from moodspace.web.components.theme import heading, html
from moodspace.web.server.settings import current_settings

_HOW_IT_WORKS = """
<article class="card"><h2>How it works</h2>
<p>A small network maps each face to a point in an expression space. The most similar labeled faces, and those that you
taught, vote. The network's own prediction and these votes are combined into one calibrated probability. If it is too
low, the answer is "unsure".</p></article>
"""
_LAW = """
<article class="card"><h2>What it must not be used for</h2>
<p>It reads the expression that a face <b>shows</b>. It cannot know what a person <b>feels</b>: a smile may be joy,
courtesy or fear. Do not base decisions about a person on it: not in hiring, grading, policing, medicine or law.</p>
<p>In the European Union, the AI Act, Article 5(1)(f) of Regulation (EU) 2024/1689, prohibits inferring people's
emotions in workplaces and schools from biometric data, except for medical or safety reasons. For other uses, the
Act lists emotion recognition as high-risk (Annex III) and requires that people are informed (Article 50). Data
protection law applies as well: ask for consent first.</p></article>
"""

settings = current_settings()
heading("About", "Facial expressions as a space that you can see, search and teach.")
pictures = privacy(keeps_taught=settings.gallery is not None, sends_from=settings.min_group if settings.to else None)
pictures = f'<article class="card"><h2>What happens to your pictures</h2>{pictures}</article>'
html(f'<div class="cards topics">{_HOW_IT_WORKS}{pictures}{_LAW}</div>')
html(f"<section><h2>Limits of this server</h2>{limits_list(settings.limits)}</section>")
html("<section><h2>Model card</h2></section>")
with st.container(border=True):
    st.markdown(model_card())
html(f"<section><h2>Versions</h2>{versions()}</section>")
with st.expander("Licenses and credits"):
    st.code(licenses(), language=None, wrap_lines=True)
