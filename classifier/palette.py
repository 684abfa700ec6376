"""One colour for each expression, wherever it is drawn.

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
