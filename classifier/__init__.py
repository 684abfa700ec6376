"""From logits and neighbors to a calibrated decision, and the bundle that holds all artifacts together."""
