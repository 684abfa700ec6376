"""Bundles that ship with Moodspace; `moodspace.api` finds them with `importlib.resources`."""
