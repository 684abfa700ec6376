"""One colour for each expression, wherever it is drawn, and colours for the classes of a user's own.

The eight are told apart by people with any of the common kinds of colour blindness.

Source:
    Okabe and Ito, "Color Universal Design: How to make figures and presentations that are friendly to colorblind
    people", 2008, with grey in the place of black, which would be lost on dark pictures.
"""

import zlib

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

# For classes of a user's own. Each has a contrast of at least 3 on light and on dark ground, so that a class has one
# color wherever it is drawn; they differ from one another and from the above for all common kinds of color vision.
_OWN = (
    "#E600BE", "#4646FA", "#D2003C", "#3278FA", "#146E6E", "#466E3C",
    "#A01ED2", "#C88246", "#788CE6", "#6E5A8C", "#C80A00", "#DC5A64",
)  # fmt: skip


def class_shades(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hex color of each class: the project's for an expression it knows, another one for any other.

    The color of a user's class follows from its name, not from its place among the others, so that the window, the
    pages, the map and a report all show the same one. Where two names ask for the same color, the first by alphabet
    gets it and the other gets the next one that is free.

    Args:
        classes: Their names, in any order; a name may occur twice.
    """
    spare: dict[str, str] = {}
    for number, name in enumerate(sorted({name for name in classes if name not in COLOURS})):
        wanted = zlib.crc32(name.encode())
        turns = (_OWN[(wanted + step) % len(_OWN)] for step in range(len(_OWN)))
        # From the thirteenth class on, colors repeat, each as often as the others.
        taken = list(spare.values())[number // len(_OWN) * len(_OWN) :]
        spare[name] = next(shade for shade in turns if shade not in taken)
    return tuple(COLOURS.get(name) or spare[name] for name in classes)
