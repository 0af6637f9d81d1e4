"""Products that are summed: what is summed leaves with what it is multiplied by."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.pruning.structure.patterns import pattern, reasons, structure_of


def test_a_linear_layer_reads_what_the_one_before_it_makes() -> None:
    structure = structure_of(
        lambda x, w, b, v: functional.linear(functional.linear(x, w, b), v), (2, 3), w=(4, 3), b=(4,), v=(2, 4)
    )
    assert pattern(structure, ("w", 0), ("b", 0), ("v", 1), ("w", 1)) == ["abcd", "abcd", "abcd", "..."]
    assert reasons(structure, "w", 1) == {"reads an input that cannot be removed"}


def test_einsum_is_the_product_that_it_spells() -> None:
    structure = structure_of(
        lambda x, w, v: torch.einsum("bh,ho->bo", torch.einsum("bi,ih->bh", x, w), v), (2, 3), w=(3, 4), v=(4, 2)
    )
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_einsum_of_heads() -> None:
    def attend(x: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor) -> Tensor:
        q, k, v = (torch.einsum("bnc,chd->bhnd", x, each) for each in (q, k, v))
        weights = torch.einsum("bhnd,bhmd->bhnm", q, k).softmax(-1)
        return torch.einsum("bhnm,bhmd,hdc", weights, v, out)

    structure = structure_of(attend, (2, 5, 3), q=(3, 4, 2), k=(3, 4, 2), v=(3, 4, 6), out=(4, 6, 3))
    assert pattern(structure, ("q", 1), ("k", 1), ("v", 1), ("out", 0)) == ["abcd"] * 4
    assert pattern(structure, ("q", 2), ("k", 2)) == ["ab", "ab"]
    assert pattern(structure, ("v", 2), ("out", 1)) == ["abcdef", "abcdef"]


def test_einsum_that_is_not_followed_says_so() -> None:
    structure = structure_of(lambda x, w: torch.einsum("...i,ij->...j", x @ w, w.mT), (2, 3), w=(3, 4))
    assert reasons(structure, "w", 1) == {"is read by an einsum with an ellipsis or a diagonal"}


@pytest.mark.parametrize("shared", [1, 2, 4])
def test_heads_leave_with_the_keys_and_values_that_they_share(shared: int) -> None:
    def attend(x: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor) -> Tensor:
        query, key, value = (
            (x @ each).view(2, 5, heads, 2).transpose(1, 2) for each, heads in ((q, 4), (k, shared), (v, shared))
        )
        y = functional.scaled_dot_product_attention(query, key, value, enable_gqa=shared < 4)
        return y.transpose(1, 2).flatten(2) @ out

    width = 2 * shared
    structure = structure_of(attend, (2, 5, 3), q=(3, 8), k=(3, width), v=(3, width), out=(8, 3))
    expected = {
        1: ["abababab", "ab"],  # heads share one value: its channels can leave, the heads stay
        2: ["aaaabbbb", "aabb"],
        4: ["aabbccdd", "aabbccdd"],
    }[shared]
    assert pattern(structure, ("out", 0), ("v", 1)) == expected


def test_rows_of_an_embedding_stay_and_its_columns_are_channels() -> None:
    structure = structure_of(
        lambda x, table, v: functional.embedding(x, table) @ v,
        torch.zeros(2, 3, dtype=torch.int64),
        table=(6, 4),
        v=(4, 2),
    )
    assert pattern(structure, ("table", 0), ("table", 1), ("v", 0)) == ["......", "abcd", "abcd"]


def test_a_depthwise_convolution_makes_what_it_reads() -> None:
    structure = structure_of(
        lambda x, w, d, v: functional.conv1d(functional.conv1d(functional.conv1d(x, w), d, groups=4), v),
        (2, 3, 8),
        w=(4, 3, 1),
        d=(4, 1, 3),
        v=(2, 4, 1),
    )
    assert pattern(structure, ("w", 0), ("d", 0), ("v", 1)) == ["abcd"] * 3


def test_a_depthwise_convolution_with_a_multiplier() -> None:
    structure = structure_of(
        lambda x, w, d, v: functional.conv1d(functional.conv1d(functional.conv1d(x, w), d, groups=2), v),
        (2, 3, 8),
        w=(2, 3, 1),
        d=(6, 1, 3),
        v=(2, 6, 1),
    )
    assert pattern(structure, ("w", 0), ("d", 0), ("v", 1)) == ["ab", "aaabbb", "aaabbb"]


def test_the_groups_of_a_convolution_keep_the_same_places() -> None:
    structure = structure_of(
        lambda x, w, d, v: functional.conv2d(functional.conv2d(functional.conv2d(x, w), d, groups=2), v),
        (2, 3, 8, 8),
        w=(6, 3, 1, 1),
        d=(4, 3, 3, 3),
        v=(2, 4, 1, 1),
    )
    assert pattern(structure, ("w", 0), ("d", 1), ("d", 0), ("v", 1)) == ["abcabc", "abc", "dede", "dede"]


@pytest.mark.parametrize(("groups", "read", "made"), [(1, "abcd", "efgh"), (2, "abab", "cdcd")])
def test_a_transposed_convolution_has_its_inputs_first(groups: int, read: str, made: str) -> None:
    def forward(x: Tensor, w: Tensor, t: Tensor, v: Tensor) -> Tensor:
        up = functional.conv_transpose2d(functional.conv2d(x, w), t, groups=groups)
        return functional.conv2d(up, v)

    shapes = {"w": (4, 3, 1, 1), "t": (4, 4 // groups, 2, 2), "v": (2, 4, 1, 1)}
    structure = structure_of(forward, (2, 3, 4, 4), **shapes)
    assert pattern(structure, ("w", 0), ("t", 0), ("v", 1)) == [read, read, made]
    assert pattern(structure, ("t", 1)) == ["abcd"[: 4 // groups]]
