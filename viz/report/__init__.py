"""The report of a recorded session: a page with shares over time, moments of change and what was left out."""
