"""The classes of the Python interface."""
