"""The one color of each class, wherever it is drawn: expressions the project knows and classes of a user's own.

The eight are told apart by people with any of the common kinds of color blindness.

Source:
    Okabe and Ito, "Color Universal Design: How to make figures and presentations that are friendly to colorblind
    people", 2008, with gray in the place of black, which would be lost on dark pictures.
"""

from zlib import crc32

COLOURS: dict[str, str] = {
    "angry": "#D55E00",
    "contempt": "#E69F00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#F0E442",
    "neutral": "#999999",
    "sad": "#0072B2",
    "surprise": "#56B4E9",
}

# For classes that only the user knows. One shade for every ground, so that a class has the same color on a picture, in
# a light page and in a dark one: each has a contrast of 3 to both grounds. Found by a search for the largest distances
# from one another and from the above, to people with any of the common kinds of color blindness too.
_OWN = (
    "#E600BE", "#4646FA", "#D2003C", "#3278FA", "#146E6E", "#466E3C",
    "#A01ED2", "#C88246", "#788CE6", "#6E5A8C", "#C80A00", "#DC5A64",
)  # fmt: skip


def class_shades(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hex color of each class, the same wherever it is drawn.

    An expression the project knows has the project's color. A class of the user's own has one that follows from its
    name, or, where another of the classes has that one already, the next free one. So it depends neither on the order
    of the classes nor, as long as no two ask for the same, on which others there are.

    Args:
        classes: Their names.
    """
    own = sorted({name for name in classes if name not in COLOURS})
    shades = dict(COLOURS)
    free: list[str] = []
    for name in own:
        free = free or list(_OWN)
        first = crc32(name.encode(errors="replace")) % len(_OWN)
        shades[name] = next(shade for shade in (*_OWN[first:], *_OWN[:first]) if shade in free)
        free.remove(shades[name])
    return tuple(shades[name] for name in classes)
