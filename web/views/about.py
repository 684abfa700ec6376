"""About: what this is and is not, privacy, the law, the model card, limits, versions and licences."""

import streamlit as st

from web.about import licences, limits_list, model_card, versions
from web.frame import privacy
from web.settings import current_settings
from web.theme import heading, html

_ANSWERS = """
<article class="card"><h2>How it answers</h2>
<p>A small network turns each face into a point in a space of expressions. The most similar of its labelled faces, and
of those that you taught, vote; the network's own opinion and their votes, each as far as it has proved right, make one
probability. When that is too little to tell, the answer says so.</p></article>
"""
_LAW = """
<article class="card"><h2>What it must not be used for</h2>
<p>It reads what a face <b>shows</b>. It cannot know what a person <b>feels</b>: a smile may be joy, courtesy or fear.
Do not decide anything about a person by this: not hiring, grading, policing, medical or legal matters.</p>
<p>In the European Union, the AI Act, Article 5(1)(f) of Regulation (EU) 2024/1689, prohibits inferring people's
emotions in workplaces and schools from biometric data, except for medical or safety reasons. For other uses there, the
Act lists emotion recognition as high-risk (Annex III) and requires that people are told (Article 50). Data protection
law applies as well: ask first.</p></article>
"""

settings = current_settings()
heading("About", "Facial expressions as a space that you can see, search and teach.")
pictures = privacy(keeps_taught=settings.gallery is not None)
pictures = f'<article class="card"><h2>What happens to your pictures</h2>{pictures}</article>'
html(f'<div class="cards topics">{_ANSWERS}{pictures}{_LAW}</div>')
html(f"<section><h2>What this server takes</h2>{limits_list(settings.limits)}</section>")
html("<section><h2>Model card</h2></section>")
with st.container(border=True):
    st.markdown(model_card())
html(f"<section><h2>What runs here</h2>{versions()}</section>")
with st.expander("Licences and thanks"):
    st.code(licences(), language=None, wrap_lines=True)
