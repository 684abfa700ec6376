"""taught."""
