"""Draw results on pictures, and write annotated pictures and videos."""
