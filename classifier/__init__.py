"""From logits and neighbours to a calibrated decision, and the bundle that holds all artifacts together."""
