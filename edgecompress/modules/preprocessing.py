"""What a pretrained network says of itself: how pictures are read, how texts become tokens, what its classes are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor, nn

Tokenize = Callable[[Sequence[str], int], Mapping[str, Tensor]]
"""From texts and a number of tokens to inputs by name, int64 (texts, tokens)."""
ATTRIBUTE = "edgecompress_preprocessing"
"""Of a module: copies of it have it, too."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What was stored with a network.

    Attributes:
        images: values for keys of the recipe's table ``images``; they hold where the recipe leaves these open.
        tokenize: makes the inputs from texts; None where the network reads none.
        classes: names of the classes in the order of the outputs; empty where they have none.
    """

    images: Mapping[str, Any] = field(default_factory=dict)
    tokenize: Tokenize | None = None
    classes: tuple[str, ...] = ()

    def __deepcopy__(self, _: object) -> Self:
        """The same: nothing of it is ever changed."""
        return self


NOTHING = Preprocessing()


def with_preprocessing(module: nn.Module, said: Preprocessing) -> nn.Module:
    """The module, which now says so itself."""
    setattr(module, ATTRIBUTE, said)
    return module


def preprocessing_of(network: object) -> Preprocessing:
    """What a network says of itself; nothing where nothing was stored with it.

    >>> preprocessing_of(nn.ReLU()).images
    {}
    """
    said = getattr(network, ATTRIBUTE, NOTHING)
    assert isinstance(said, Preprocessing)
    return said
