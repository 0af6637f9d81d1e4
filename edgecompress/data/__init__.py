"""Batches: what flows through calibration, training and evaluation, and where its samples lie."""
