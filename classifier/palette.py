"""The color of each class, the same wherever it is drawn, for known expressions and for a user's own classes.

People with any common kind of color blindness can tell the eight known ones apart.

Source:
    Okabe and Ito, "Color Universal Design: How to make figures and presentations that are friendly to colorblind
    people", 2008, with gray instead of black, which is invisible on dark pictures.
"""

from zlib import crc32

COLORS: dict[str, str] = {
    "angry": "#D55E00",
    "contempt": "#E69F00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#F0E442",
    "neutral": "#999999",
    "sad": "#0072B2",
    "surprise": "#56B4E9",
}

# For a user's own classes. Each has a contrast of at least 3 to light and to dark backgrounds, so that a class has one
# color everywhere. Found by maximizing the distances to one another and to the colors above, also as people with any
# common kind of color blindness see them.
OWN_COLORS = (
    "#E600BE", "#4646FA", "#D2003C", "#3278FA", "#146E6E", "#466E3C",
    "#A01ED2", "#C88246", "#788CE6", "#6E5A8C", "#C80A00", "#DC5A64",
)  # fmt: skip


def class_shades(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hex color of each class, the same wherever it is drawn.

    A known expression has its color of `COLORS`. Another class has a color that a hash of its name chooses, or the
    next free one if an earlier class (by name) has that. The order of `classes` does not matter.

    Args:
        classes: Class names.
    """
    own = sorted({name for name in classes if name not in COLORS})
    shades = dict(COLORS)
    free: list[str] = []
    for name in own:
        free = free or list(OWN_COLORS)
        first = crc32(name.encode(errors="replace")) % len(OWN_COLORS)
        shades[name] = next(shade for shade in (*OWN_COLORS[first:], *OWN_COLORS[:first]) if shade in free)
        free.remove(shades[name])
    return tuple(shades[name] for name in classes)
