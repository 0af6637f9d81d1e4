"""Pruning: channels that leave the network, and weights that are held at zero."""
