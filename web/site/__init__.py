"""The static site: Moodspace without a server, in the visitor's browser."""
