"""How models stand to budgets that tests make up."""

from __future__ import annotations

from edgecompress.validation.acceptance import Standing


def standing(held: bool) -> Standing:
    """Of a model that is within its budget or not, and nothing else is known of it."""
    return Standing(held=True, loss=0.0, limit=0.0) if held else Standing(held=False, loss=1.0, limit=0.5)


def standing_by(sqnr_db: float, least_db: float) -> Standing:
    """Of a model with this agreement, in dB, where a budget asks for another."""
    noise, most = (float(10 ** (-decibels / 10)) for decibels in (sqnr_db, least_db))
    return Standing(held=noise <= most, loss=noise, limit=min(noise, most))
