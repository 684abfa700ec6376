"""How fast the live pipeline is: against another version of itself, and against the limits of the machine."""
