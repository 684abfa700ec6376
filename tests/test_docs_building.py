"""What the documentation site adds to the pages in docs/."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("docs_building_hooks", ROOT / "docs" / "building" / "hooks.py")
assert _spec and _spec.loader
hooks = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hooks)


@pytest.mark.parametrize(
    ("source", "link", "made"),
    [
        ("faq.md", "[use](../README.md#responsible-use)", "[use](responsible-use.md)"),
        ("faq.md", "[NOTICE](../NOTICE)", "[NOTICE](notice.md)"),
        ("how-to/teach.md", "[it](../notebooks/teach.py)", "[it](../notebooks/teach.md)"),
        ("how-to/teach.md", "[changes](../../CHANGELOG.md#unreleased)", "[changes](../changelog.md#unreleased)"),
        ("how-to/teach.md", "[results](../results.md#teaching)", "[results](../results.md#teaching)"),
        ("live.md", "[code](../realtime/pipeline.py)", "code"),
        ("reference/json.md", "[it](../../realtime/sinks/schema.json)", "[it](schema.md)"),
        ("live.md", "[page](results.md), ![map](map.png)", "[page](results.md), ![map](map.png)"),
    ],
)
def test_links_that_leave_the_folder_lead_to_pages(source: str, link: str, made: str) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri=source))
    assert hooks.on_page_markdown(link, page) == made


def test_a_notebook_becomes_text_and_code() -> None:
    notebook = "# %% [markdown]\n# # Title\n#\n# Words.\n\n# %%\nx = 1\n\n\ny = 2\n"
    assert hooks.notebook_page(notebook) == "# Title\n\nWords.\n\n```python\nx = 1\n\n\ny = 2\n```\n"


def test_files_that_become_pages_exist() -> None:
    assert all((ROOT / name.partition("#")[0]).is_file() for name in hooks._PAGES)
    assert "## Responsible use\n" in (ROOT / "README.md").read_text(encoding="utf-8")
