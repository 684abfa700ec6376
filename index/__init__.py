"""From unit vectors to labeled neighbors, stored safely on disk."""
