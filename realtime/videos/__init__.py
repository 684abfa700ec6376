"""Recognize many videos into one table: read, in parallel, resumable."""
