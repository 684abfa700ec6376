"""Frames from cameras, streams, videos and pictures."""
