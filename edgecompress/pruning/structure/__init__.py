"""The channels of a network: which can only be removed together, and their removal."""
