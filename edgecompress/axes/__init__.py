"""Axes that nobody declares: which holds the samples of an input, and which the classes of a score."""
