"""Live: the visitor's camera, analyzed frame by frame."""

from moodspace.web.components.theme import heading
from moodspace.web.live.component import show_live
from moodspace.web.server.visitors import this_visitor

heading("Live", "Read expressions live from your camera, with confidence and the closest known faces.")
show_live(this_visitor().recognizer)
