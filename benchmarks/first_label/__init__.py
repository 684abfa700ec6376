"""How long each command takes until its first label."""
