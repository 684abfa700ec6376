"""From labelled face images to a trained encoder, and from a face crop to a unit vector and logits."""
