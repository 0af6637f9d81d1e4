"""Pruned networks in a file, and back into an instance of their own class."""
