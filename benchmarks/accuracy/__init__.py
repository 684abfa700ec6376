"""How right the answers are, and what confidence, teaching and a baseline do to that."""
