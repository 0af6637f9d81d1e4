"""Texts in every form of a batch become tokens, and what holds none stays as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress.loading.texts import tokenized
from edgecompress.modules.copies import copied
from edgecompress.modules.preprocessing import Preprocessing, preprocessing_of, with_preprocessing


def _lengths(texts: Sequence[str], length: int) -> Mapping[str, Tensor]:
    return {"ids": torch.tensor([[len(text), length] for text in texts])}


READER = with_preprocessing(nn.ReLU(), Preprocessing(tokenize=_lengths))
LABELS = torch.tensor([1, 0])
TOKENS = [[4, 9], [3, 9]]


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        (["good", "bad"], None),
        (("good", "bad"), None),
        ((["good", "bad"], LABELS), 1),
        ([("good", "bad"), LABELS], 1),
        ({"text": ["good", "bad"], "label": LABELS}, "label"),
    ],
)
def test_texts_become_tokens(raw: Any, labels: int | str | None) -> None:
    (batch,) = tokenized(lambda: [raw], READER, 9)()
    tokens = batch[0] if isinstance(batch, tuple) else batch
    assert tokens["ids"].tolist() == TOKENS
    if labels is not None:
        assert batch[labels] is LABELS


@pytest.mark.parametrize("raw", [LABELS, (LABELS, LABELS), {"ids": LABELS}, [], {"a": ["x"], "b": ["y"]}])
def test_what_holds_no_texts_stays(raw: Any) -> None:
    (batch,) = tokenized(lambda: [raw], READER, 9)()
    assert batch is raw


def test_the_number_of_batches_is_told_where_the_data_tell_it() -> None:
    def generated() -> Iterator[list[str]]:
        yield ["good"]

    assert len(tokenized(lambda: [["good"]] * 3, READER, 9)()) == 3  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        len(tokenized(generated, READER, 9)())  # type: ignore[arg-type]


def test_without_a_tokenizer_data_are_as_they_were() -> None:
    def source() -> list[list[str]]:
        return [["good"]]

    assert tokenized(source, nn.ReLU(), 9) is source
    assert tokenized(source, None, 9) is source


def test_a_copy_of_a_network_says_the_same() -> None:
    assert preprocessing_of(copied(READER)) is preprocessing_of(READER)
