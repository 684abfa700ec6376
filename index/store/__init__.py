"""Crash-safe folders of files: one manifest, atomic commits, a lock for writers."""
