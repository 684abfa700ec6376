"""From unit vectors to labelled neighbors, kept safely on disk."""
