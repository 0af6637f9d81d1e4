"""What was given, in a few words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgecompress.metrics.described import described


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.zeros(2, 3), "torch.float32 (2, 3)"),
        ([np.zeros(2), 1], "a list of 2, the first float64 (2,)"),
        ([], "a list"),
        ({"a": 1}, "a dict"),
        (("a", 1), "a tuple"),
    ],
)
def test_values_in_words(value: Any, words: str) -> None:
    assert described(value) == words
