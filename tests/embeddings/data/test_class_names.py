"""Names of classes: one spelling for each, and none that cannot be told apart on a screen."""

import unicodedata

import pytest

from moodspace.embeddings.data.labels import ClassNameError, canonical, class_name, displayable


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("ange\u0301l", "ang\u00e9l"),
        ("  Big   smile ", "big smile"),
        ("Big\u00a0smile", "big smile"),
        ("\u3000wink\u2003", "wink"),
        ("HAPPINESS", "happy"),
        ("\u2764\ufe0f", "\u2764"),
        ("verwirrt ☹", "verwirrt ☹"),
        ("\u0130stanbul", unicodedata.normalize("NFC", "\u0130stanbul".lower())),
        ("क्षमा", "क्षमा"),
    ],
)
def test_one_spelling(typed: str, name: str) -> None:
    assert class_name(typed) == name == canonical(typed) == canonical(name)


@pytest.mark.parametrize(
    "typed",
    [
        "a\nb", "a\r\nb", "happy\n", "\thappy", "a\x00b", "a\x1b[31mb", "a\x85b", "a\u2028b", "a\u2029b", "a\x7fb",
        "a\u202eb", "a\u2066b", "a\u200fb", "a\u061cb", "a\u200bb", "a\u200db", "a\u2060b", "\ufeffa", "a\u00adb",
        "a\u3164", "\u2800", "a\u034fb", "\ud800", "\ue000", "\U000e0041b",
    ],
)  # fmt: skip
def test_what_cannot_be_seen_is_refused(typed: str) -> None:
    with pytest.raises(ClassNameError, match="expected") as told:
        class_name(typed)
    assert str(told.value).isprintable() and str(told.value).isascii()


@pytest.mark.parametrize("typed", ["", "   ", "\u00a0", "x" * 101])
def test_empty_and_endless_names_are_refused(typed: str) -> None:
    with pytest.raises(ClassNameError, match="expected"):
        class_name(typed)


def test_old_names_can_be_shown() -> None:
    assert displayable("ange\u0301l") == "ang\u00e9l"
    assert displayable("a\x1b[31m\nb") == "a\ufffd[31m b"
