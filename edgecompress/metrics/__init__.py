"""How well outputs agree: accuracy, decibels, the worst slice."""
