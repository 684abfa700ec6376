"""From a video source to predictions that are drawn, recorded and written down."""
