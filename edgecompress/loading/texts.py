"""Texts as data of a pretrained network whose tokenizer makes the inputs from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from edgecompress.data.batches import Source
from edgecompress.modules.preprocessing import preprocessing_of
from edgecompress.runtime import Network

Tokens = Callable[[Sequence[str]], Mapping[str, Tensor]]


def tokenized(source: Source, network: Network | None, max_tokens: int) -> Source:
    """The same data with tokens in the place of texts, where a tokenizer was stored with the network.

    A batch is a list of texts, ``(texts, labels)``, or a dict with one list of texts.

    Args:
        source: opened anew by every pass.
        network: whose inputs the tokenizer makes.
        max_tokens: a text is filled or cut to as many.
    """
    tokenize = preprocessing_of(network).tokenize
    if tokenize is None:
        return source
    return lambda: _Tokenized(raw=source(), tokens=lambda texts: tokenize(texts, max_tokens))


@dataclass(frozen=True, kw_only=True)
class _Tokenized:
    """Batches, tokenized as they are read."""

    raw: Iterable[Any]
    tokens: Tokens

    def __iter__(self) -> Iterator[Any]:
        return (_batch(batch, self.tokens) for batch in self.raw)

    def __len__(self) -> int:
        """Number of batches; a ``TypeError``, as ``len`` raises it, where the data do not tell."""
        return len(self.raw)  # type: ignore[arg-type]


def _batch(raw: Any, tokens: Tokens) -> Any:
    if _is_texts(raw):
        return dict(tokens(raw))
    if isinstance(raw, (tuple, list)) and raw and _is_texts(raw[0]):
        return (dict(tokens(raw[0])), *raw[1:])
    if isinstance(raw, Mapping):
        texts = [key for key, value in raw.items() if _is_texts(value)]
        if len(texts) == 1:
            others = {key: value for key, value in raw.items() if key not in texts}
            return {**tokens(raw[texts[0]]), **others}
    return raw


def _is_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(each, str) for each in value)
