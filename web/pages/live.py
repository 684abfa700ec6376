"""Live: the visitor's camera, analyzed frame by frame."""

from moodspace.web.components.frame import sends
from moodspace.web.components.theme import heading, html
from moodspace.web.live.component import show_live
from moodspace.web.server.settings import current_settings
from moodspace.web.server.visitors import this_visitor

heading("Live", "Read expressions live from your camera, with confidence and the closest known faces.")
if (settings := current_settings()).to:
    html(f'<p class="word">{sends(settings.min_group)}</p>')
show_live(this_visitor().recognizer)
