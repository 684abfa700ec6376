"""How fast the product is: predictions, videos, folders, the map; against other versions and the machine."""
