"""Live: the visitor's camera, looked at frame by frame."""

from web.live_component import show_live
from web.theme import heading
from web.visitors import this_visitor

heading("Live", "What the faces before your camera show, how sure that is, and which known faces say so.")
show_live(this_visitor().recognizer)
