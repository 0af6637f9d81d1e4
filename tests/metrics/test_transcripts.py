"""Error rates of texts and of CTC against jiwer, and edits against their recursion."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import Any

import jiwer
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgecompress.errors import DataError
from edgecompress.metrics.metric import named_measure
from edgecompress.metrics.running import Running
from edgecompress.metrics.transcripts import edits, greedy_ctc

texts = st.lists(st.text("ab c", min_size=1, max_size=8), min_size=1, max_size=6)
words = st.text("abc", max_size=6)


def _rate(name: str, found: Any, targets: Any, size: int) -> float | None:
    running = Running(named_measure(name))
    for start in range(0, len(targets), size):
        running.update([found[start : start + size]], targets[start : start + size], "batch")
    return running.value


@given(st.lists(st.tuples(st.text("ab c", max_size=8), st.text("ab c", max_size=8)), min_size=1), st.integers(1, 4))
@pytest.mark.parametrize(("name", "oracle"), [("wer", jiwer.wer), ("cer", jiwer.cer)])
def test_rates_of_texts(name: str, oracle: Any, pairs: list[tuple[str, str]], size: int) -> None:
    found, targets = ([pair[place] for pair in pairs] for place in (0, 1))
    assume(any(target.strip() for target in targets))
    assert _rate(name, found, targets, size) == pytest.approx(100 * oracle(targets, found), abs=1e-6)


@given(st.integers(1, 4), st.integers(1, 9), st.integers(0, 10**6), st.integers(1, 3))
def test_scores_are_read_by_greedy_ctc(rows: int, steps: int, seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(rows, steps, 4))
    read = [[label for label, _ in groupby(row.argmax(-1).tolist()) if label] for row in scores]
    assert greedy_ctc(scores) == read
    targets = [generator.integers(1, 4, generator.integers(1, 5)).tolist() for _ in range(rows)]
    right, heard = (["".join(map(str, row)) for row in side] for side in (targets, read))
    padded = np.full((rows, 5), -1)
    for row, target in enumerate(targets):
        padded[row, : len(target)] = target
    for given_targets in (targets, padded):
        assert _rate("cer", scores, given_targets, size) == pytest.approx(100 * jiwer.cer(right, heard), abs=1e-6)
        assert _rate("wer", scores, given_targets, size) == _rate("cer", scores, given_targets, size)


@given(words, words)
def test_edits_are_the_fewest(first: str, second: str) -> None:
    @cache
    def fewest(m: int, n: int) -> int:
        if not m or not n:
            return m + n
        same = first[m - 1] != second[n - 1]
        return min(fewest(m - 1, n) + 1, fewest(m, n - 1) + 1, fewest(m - 1, n - 1) + same)

    assert edits(first, second) == fewest(len(first), len(second))


@pytest.mark.parametrize(
    ("outputs", "targets", "told"),
    [
        (
            np.zeros((2, 5, 3)),
            ["a", "b"],
            "batch: outputs are a list and targets a str; give texts of both, or class indices of both (--postprocess"
            " makes texts of outputs)",
        ),
        (
            np.zeros((2, 5)),
            [[1], [2]],
            "batch: a transcript is float64 (5,); give a text, class indices, or scores (rows, steps, classes)",
        ),
        (["a"], ["a", "b"], "batch: 1 transcript for 2 targets; give one for each sample"),
    ],
)
def test_what_is_no_transcript_is_refused(outputs: Any, targets: Any, told: str) -> None:
    with pytest.raises(DataError) as caught:
        Running(named_measure("wer")).update([outputs], targets, "batch")
    assert str(caught.value) == told
