"""From unit vectors to labelled neighbours, kept safely on disk."""
