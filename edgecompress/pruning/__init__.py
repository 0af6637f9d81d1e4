"""Pruning: weights that are held at zero, and channels that leave the network."""
