"""Channels that leave the network: which ones, how many, and what it costs and gains."""
