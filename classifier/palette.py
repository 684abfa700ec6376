"""One colour for each expression, wherever it is drawn, and colours for the classes of a user's own.

The eight are told apart by people with any of the common kinds of colour blindness.

Source:
    Okabe and Ito, "Color Universal Design: How to make figures and presentations that are friendly to colorblind
    people", 2008, with grey in the place of black, which would be lost on dark pictures.
"""

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

# For classes that only the user knows, in the order they appear: on light and on dark ground, of one hue. They were
# searched for: as far as they can be from one another and from the above, to all eyes, with enough contrast.
_OWN = (
    ("#1C3517", "#A5EE95"),
    ("#9A1366", "#F6A9CD"),
    ("#004049", "#82EAFC"),
    ("#90502A", "#F7945A"),
    ("#1E2C7F", "#7D98F5"),
    ("#7E8F46", "#D2DEB2"),
)


def class_shades(classes: tuple[str, ...], *, dark: bool = False) -> tuple[str, ...]:
    """Returns the hex colour of each class: the project's for an expression it knows, another in turn for any other.

    Args:
        classes: Their names, in the order in which they are shown.
        dark: For a dark ground; only the colours of a user's own classes differ.
    """
    own = [name for name in classes if name not in COLOURS]
    spare = {name: _OWN[i % len(_OWN)][dark] for i, name in enumerate(own)}
    return tuple(COLOURS.get(name) or spare[name] for name in classes)
