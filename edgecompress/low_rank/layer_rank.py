"""Rank of a single layer: by ratio, or by the energy that it keeps."""

from __future__ import annotations

import math

from edgecompress.errors import plural
from edgecompress.low_rank.options import Candidate, Option

Choice = Option | str
"""An option, or why the layer stays whole."""


def by_ratio(candidate: Candidate, ratio: float, multiple: int) -> Choice:
    """The rank that is this share of the full one, to the nearest multiple, at least one.

    For a convolution of several positions it is the rank of the spatial form. Tucker-2 takes its place where one of its
    pairs of ranks has no more weights and loses less.
    """
    form, *others = candidate.forms
    full = form.full[0]
    rank = (min(max(math.floor(ratio * full / multiple + 0.5), 1) * multiple, full),)
    if not candidate.pays(form, rank):
        return _dear(candidate, candidate.option(form, rank))
    option = candidate.option(form, rank)
    rivals = [
        candidate.option(other, pair)
        for other in others
        for pair in other.ranks(multiple)
        if candidate.pays(other, pair) and other.parameters(pair) <= option.parameters
    ]
    return min([option, *rivals], key=lambda choice: choice.loss)


def by_energy(candidate: Candidate, energy: float, multiple: int) -> Choice:
    """The fewest weights that keep this share of the output's energy."""
    enough = [choice for choice in candidate.options(multiple) if 1 - choice.loss >= energy]
    if enough:
        return min(enough, key=lambda choice: (choice.parameters, choice.loss))
    return f"no rank that is a multiple of {multiple} keeps {energy:.1%} of its energy and costs less than the layer"


def _dear(candidate: Candidate, option: Option) -> str:
    if option.parameters >= candidate.parameters:
        return f"{option} has {plural(option.parameters, 'weight')}, the layer {candidate.parameters}"
    return f"{option} takes {option.macs} multiply-accumulates, the layer {candidate.macs}"
