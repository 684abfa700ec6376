"""Readers of labelled faces, in all layouts that data sets have, and their label sets."""
