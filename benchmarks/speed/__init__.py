"""How fast the product is: predictions, videos, folders, the map, the start of commands."""
