"""Add pages to the site that are made from files outside docs/, and point links to those files at these pages."""

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

_ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[\w./-]+)(#[\w-]+)?\)")
# Pages for files outside docs/. Other files that pages link to have no page; their links become plain text.
_PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "NOTICE": "notice.md",
    "README.md": "index.md",
    "README.md#responsible-use": "responsible-use.md",
    "realtime/sinks/schema.json": "reference/schema.md",
}
_TO_DOCS = re.compile(r"\]\(docs/")


def on_files(files: "Files", config: Any) -> "Files":
    """Add the changelog, the guide, responsible use, the license notice, the schema and the notebooks as pages."""
    from mkdocs.structure.files import File

    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        text = (_ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, _PAGES[name], content=_TO_DOCS.sub("](", text)))
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    _, _, section = readme.partition("## Responsible use\n")
    files.append(
        File.generated(config, "responsible-use.md", content="# Responsible use\n" + section.partition("\n## ")[0])
    )
    notice = (_ROOT / "NOTICE").read_text(encoding="utf-8")
    files.append(File.generated(config, "notice.md", content=f"# Third-party notices\n\n```text\n{notice}```\n"))
    schema = (_ROOT / "realtime" / "sinks" / "schema.json").read_text(encoding="utf-8")
    files.append(File.generated(config, "reference/schema.md", content=schema_page(schema)))
    for notebook in sorted((_ROOT / "docs" / "notebooks").glob("*.py")):
        page = notebook_page(notebook.read_text(encoding="utf-8"))
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=page))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite links to files outside docs/: to the page made from such a file, else to plain text."""
    folder = posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        text, path, anchor = match[1], match[2], match[3] or ""
        target = posixpath.normpath(posixpath.join(folder, path))
        if target.startswith("notebooks/"):
            return f"[{text}]({path.removesuffix('.py')}.md)"
        if not target.startswith("../"):
            return match[0]
        outside = target.removeprefix("../")
        made = _PAGES.get(outside + anchor) or (_PAGES[outside] + anchor if outside in _PAGES else None)
        return f"[{text}]({posixpath.relpath(made, folder or '.')})" if made else text

    return _LINK.sub(rewritten, markdown)


def schema_page(schema: str) -> str:
    """Return the page of the schema of live documents."""
    return (
        "# Schema of live documents\n\nOf the documents of `live --json` and `--to`, see [JSON](json.md#live-json); "
        f"JSON Schema 2020-12.\n\n```json\n{schema.strip()}\n```\n"
    )


def notebook_page(text: str) -> str:
    """Return a py:percent notebook as Markdown: text cells as text, code cells as code."""
    parts = re.split(r"^# %%(.*)\n", text, flags=re.MULTILINE)
    cells = zip(parts[1::2], parts[2::2], strict=True)
    pages = []
    for kind, body in cells:
        if "[markdown]" in kind:
            pages.append("\n".join(line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines()))
        else:
            pages.append(f"```python\n{body.strip()}\n```")
    return "\n\n".join(pages) + "\n"
