"""Live: the visitor's camera, analyzed frame by frame."""

from web.live_component import show_live
from web.theme import heading
from web.visitors import this_visitor

heading("Live", "Read expressions live from your camera, with confidence and the closest known faces.")
show_live(this_visitor().recognizer)
