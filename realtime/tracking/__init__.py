"""Track faces from frame to frame and smooth their predictions over time."""
