"""Random numbers that a resumed run draws again: none of them depends on what was drawn before a checkpoint.

The data of an epoch draw from a stream seeded by (seed, epoch), which nothing else advances; a training step draws from
one seeded by (seed, step, process). So a checkpoint needs no generator states: an epoch opened again gives the
same order, and the batches already used are read past.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch


def seed_all(*keys: int | str) -> None:
    """Seed PyTorch (on every device that is in use), NumPy and Python from ``keys``."""
    digest = hashlib.blake2b("/".join(map(str, keys)).encode(), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    _seed_torch(number)
    np.random.seed(number & 0xFFFFFFFF)
    random.seed(number)


def _seed_torch(number: int) -> None:
    """``torch.manual_seed`` takes milliseconds where CUDA sleeps: it notes a call, and its stack, for when it wakes."""
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(number)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(number)


@dataclass(frozen=True, kw_only=True)
class RandomStates:
    """The states of the three global generators of the CPU, from which data are drawn."""

    torch_state: torch.Tensor
    numpy_state: Any
    python_state: Any

    @classmethod
    def now(cls) -> Self:
        """What they are at present."""
        return cls(torch_state=torch.get_rng_state(), numpy_state=np.random.get_state(), python_state=random.getstate())

    def restore(self) -> None:
        """Make them so again."""
        torch.set_rng_state(self.torch_state)
        np.random.set_state(self.numpy_state)
        random.setstate(self.python_state)


@contextmanager
def own_randomness() -> Iterator[None]:
    """Whatever is seeded and drawn inside, the caller's generators are afterwards as they were."""
    before = RandomStates.now()
    devices = range(torch.cuda.device_count())
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        before.restore()
