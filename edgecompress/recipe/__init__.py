"""The recipe: tables of keys that are checked when they are made, overrides, and how arguments are read."""
