"""What the About page says is what the repository says."""

import re

from moodspace.web.components.about import licenses, limits_list, model_card, versions
from moodspace.web.components.frame import privacy
from moodspace.web.server.settings import Limits


def test_the_model_card_is_whole_and_links_nowhere_in_the_repository() -> None:
    card = model_card()
    assert card.startswith("**What it is.**") and "## Licenses" in card
    assert re.findall(r"\]\((?!https?://)", card) == []


def test_limits_versions_and_licenses_are_told() -> None:
    limits = Limits()
    assert f"{limits.video_seconds:.0f} seconds" in limits_list(limits)
    assert f"<dd>{limits.visitors}</dd>" in limits_list(limits)
    assert "<dt>Python</dt>" in versions() and "<dt>streamlit</dt>" in versions()
    assert "FER2013" in licenses()


def test_what_is_kept_is_told_as_it_is() -> None:
    assert "deleted a few seconds after you leave" in privacy(keeps_taught=False)
    assert "stays on this server until you forget it" in privacy(keeps_taught=True)
