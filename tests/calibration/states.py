"""Calibrations and surveys of seeded batches, which are known by their indices."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce

import numpy as np

from edgecompress.arrays import Array
from edgecompress.calibration.state import Calibration, Mark, Survey
from edgecompress.data.batches import Batch

NAMES = ("a", "b")


def batch_of(index: int) -> dict[str, Array]:
    generator = np.random.default_rng(index)
    return {name: generator.standard_t(2, (3, 2, 5)).astype(np.float32) for name in NAMES}


def mark_of(index: int) -> Mark:
    return Mark.of(Batch(inputs={"x": np.full((3, 1), index)}))


def survey_of(indices: list[int]) -> Survey:
    survey = reduce(lambda survey, index: survey.add(batch_of(index), 3), indices, Survey())
    return replace(survey, batches={index: mark_of(index) for index in indices})


def calibration_of(survey: Survey, indices: list[int]) -> Calibration:
    with ThreadPoolExecutor(1) as pool:
        empty = Calibration.over(survey, "model")
        counted = reduce(lambda calibration, index: calibration.add(batch_of(index), pool), indices, empty)
    return replace(counted, counted={index: mark_of(index) for index in indices})


def counts_of(calibration: Calibration) -> dict[str, list[int]]:
    return {name: histogram.counts.tolist() for name, histogram in calibration.histograms.items()}
