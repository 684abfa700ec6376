"""From picture files to faces in the user's gallery: plan, read, detect, crop, encode, apply."""
