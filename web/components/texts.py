"""Words that the server app and the static site share, as HTML: how it works, misuse, and the law."""

HOW_IT_WORKS = """
<article class="card"><h2>How it works</h2>
<p>A small network maps each face to a point in an expression space. The most similar labeled faces, and those that you
taught, vote. The network's own prediction and these votes are combined into one calibrated probability. If it is too
low, the answer is "unsure".</p></article>
"""
MISUSE = """
<article class="card"><h2>What it must not be used for</h2>
<p>It reads the expression that a face <b>shows</b>. It cannot know what a person <b>feels</b>: a smile may be joy,
courtesy or fear. Do not base decisions about a person on it: not in hiring, grading, policing, medicine or law.</p>
<p>In the European Union, the AI Act, Article 5(1)(f) of Regulation (EU) 2024/1689, prohibits inferring people's
emotions in workplaces and schools from biometric data, except for medical or safety reasons. For other uses, the
Act lists emotion recognition as high-risk (Annex III) and requires that people are informed (Article 50). Data
protection law applies as well: ask for consent first.</p></article>
"""
LAW = (
    "<p><b>Expression shown, not emotion felt.</b> A smile may be joy, courtesy or fear. Do not base decisions about "
    "a person on it, and ask for consent before you point a camera at anyone.</p>"
    "<p>In the European Union, the AI Act, Article 5(1)(f) of Regulation (EU) 2024/1689, prohibits inferring people's "
    "emotions in workplaces and schools from biometric data, except for medical or safety reasons; other uses are "
    "high-risk (Annex III), and people must be informed (Article 50).</p>"
)
