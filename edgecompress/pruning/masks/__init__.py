"""Weights that are held at zero: which ones, and the masks that hold them."""
