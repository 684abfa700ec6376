"""Detection of faces and their landmarks, and how well each face can be read."""
