"""Recorded sessions: record, read, export and delete them, and the notice before the first session."""
