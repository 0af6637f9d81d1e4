"""Normalizations per channel, over channels, and in groups."""

from __future__ import annotations

from torch.nn import functional

from tests.pruning.structure.patterns import pattern, structure_of


def test_scales_and_shifts_belong_to_their_channels() -> None:
    structure = structure_of(
        lambda x, w, g, b, v: functional.layer_norm(x @ w, (4,), g, b) @ v, (2, 3), w=(3, 4), g=(4,), b=(4,), v=(4, 2)
    )
    assert pattern(structure, ("w", 1), ("g", 0), ("b", 0), ("v", 0)) == ["abcd"] * 4


def test_a_normalization_without_scales_lets_channels_go_too() -> None:
    structure = structure_of(lambda x, w, v: functional.rms_norm(x @ w, (4,)) @ v, (2, 3), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_what_is_normalized_in_heads_leaves_in_heads() -> None:
    structure = structure_of(
        lambda x, w, g, v: functional.rms_norm((x @ w).view(2, 2, 3), (3,), g).flatten(1) @ v,
        (2, 3),
        w=(3, 6),
        g=(3,),
        v=(6, 2),
    )
    assert pattern(structure, ("w", 1), ("g", 0), ("v", 0)) == ["aaabbb", "...", "aaabbb"]


def test_groups_keep_the_same_places() -> None:
    def forward(groups: int) -> list[str]:
        structure = structure_of(
            lambda x, w, g, v: functional.group_norm(x @ w, groups, g) @ v, (2, 3), w=(3, 6), g=(6,), v=(6, 2)
        )
        first, *others = pattern(structure, ("w", 1), ("g", 0), ("v", 0))
        assert others == [first, first]
        return [first]

    assert [forward(groups)[0] for groups in (1, 2, 3, 6)] == ["abcdef", "abcabc", "ababab", "abcdef"]


def test_an_instance_normalization_is_per_channel() -> None:
    structure = structure_of(
        lambda x, w, g, v: functional.conv1d(functional.instance_norm(functional.conv1d(x, w), weight=g), v),
        (2, 3, 8),
        w=(4, 3, 1),
        g=(4,),
        v=(2, 4, 1),
    )
    assert pattern(structure, ("w", 0), ("g", 0), ("v", 1)) == ["abcd"] * 3
