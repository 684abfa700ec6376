"""Draw results on frames, and write annotated pictures and clips."""
