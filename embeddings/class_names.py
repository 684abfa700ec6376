"""Names of classes: one spelling for each, and none that cannot be told apart on a screen.

`canonical` never fails: it is for names that are there already, in data sets and old galleries. `checked_class_name` is
for names that come in.
"""

import unicodedata
from functools import lru_cache

# Letters and marks without a picture, beside those that Unicode files under control, format and separators.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Control, format (zero width, text direction), half of a pair, private, not assigned, line and paragraph separators.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# They choose among the pictures of one character, and cannot be seen by themselves.
_VARIANTS = dict.fromkeys([*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
_LONGEST = 100


class ClassNameError(ValueError):
    """A name that no class may have; says in one line what was expected and what came."""


def tidy(name: str) -> str:
    """Returns a name in Unicode's composed form (NFC), lower-case, with single spaces inside and none around."""
    return unicodedata.normalize("NFC", _spelled(name).lower())


def checked(name: str) -> str:
    """Returns a name as it came.

    Raises:
        ClassNameError: It is empty or too long, or has line breaks, control characters, or others that cannot be seen.
    """
    plain = tidy(name)
    if not plain:
        raise ClassNameError("expected the name of a class, got an empty one; type a word")
    if len(plain) > _LONGEST:
        raise ClassNameError(f"expected a name of at most {_LONGEST} characters, got {len(plain)}; shorten it")
    if wrong := next((one for one in name if _is_refused(one)), None):
        got = f"U+{ord(wrong):04X} ({unicodedata.name(wrong, 'control character').lower()}) in {name!a}"
        wanted = "expected a class name on one line, of characters that can be seen"
        raise ClassNameError(f"{wanted}, got {got}; type it again")
    return name


@lru_cache(maxsize=4096)
def readable(name: str) -> str:
    """Returns a name that is there already as it is compared and shown: composed, without what no name may have."""
    return "".join("\ufffd" if _is_refused(one) else one for one in _spelled(name))


def _spelled(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name.translate(_VARIANTS)).split())


def _is_refused(character: str) -> bool:
    return character in _BLANK or unicodedata.category(character) in _REFUSED
