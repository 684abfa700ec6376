"""Training of the encoder with Keras, and its export to LiteRT."""
