"""The kinds, names and paths of files."""
