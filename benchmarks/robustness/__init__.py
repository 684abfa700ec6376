"""What changes of the picture do to the answers: a webcam, covers, the crop, the look of a face."""
