"""The window of a live session: its loop, keys, layout and drawings."""
