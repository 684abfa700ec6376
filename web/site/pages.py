"""Complete the static site's page with the words of the server app, and write the style sheets that both share."""

import re
from importlib.resources import files

from markdown_it import MarkdownIt

from moodspace.viz.theme import stylesheet, text
from moodspace.web.components.about import licenses, model_card
from moodspace.web.components.texts import HOW_IT_WORKS, LAW, MISUSE

_MARK = re.compile(r"<!-- moodspace:([a-z-]+) -->")


def complete_page(html: str) -> str:
    """Return the page with each mark such as `<!-- moodspace:law -->` replaced by its text.

    Args:
        html: The page as its sources have it.

    Raises:
        KeyError: A mark has no text.
    """
    texts = {
        "how-it-works": HOW_IT_WORKS,
        "misuse": MISUSE,
        "law": LAW,
        "model-card": f'<article class="card" tabindex="0" aria-label="Model card">{_model_card()}</article>',
        "licenses": f"<pre>{text(licenses())}</pre>",
    }
    return _MARK.sub(lambda mark: texts[mark[1]].strip(), html)


def shared_styles() -> dict[str, str]:
    """Return the style sheets that the server app, the report and the static site share, by file name."""
    report = (files("moodspace.viz.report") / "report.css").read_text(encoding="utf-8")
    return {"theme.css": stylesheet(), "report.css": f".report {{ {report} }}\n"}


def _model_card() -> str:
    # Without raw HTML, so that the card cannot change the page.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    html = markdown.render(model_card())
    # A table of the card may have no head; and the page has the level above.
    html = re.sub(r"<thead>\s*<tr>(\s*<th></th>)+\s*</tr>\s*</thead>", "", html)
    return re.sub(r"(</?h)([1-5])\b", lambda found: f"{found[1]}{int(found[2]) + 1}", html)
