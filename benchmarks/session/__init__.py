"""The live session: its speed and steadiness, the age of what it shows, its memory, what sinks add."""
