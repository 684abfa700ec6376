"""The user's own gallery: taught faces in one SQLite file, searchable while it changes."""
