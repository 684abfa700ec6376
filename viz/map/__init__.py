"""The `visualize` command: the map of a bundle's gallery as a picture, a page and files for TensorBoard."""
