"""Calibration by several processes, as ``torchrun`` and ``accelerate launch`` start them.

Each worker runs every ``count``-th batch. At a few points all of them exchange what they have, and every one goes
on with the same sum, whose parts add up exactly: the artifact does not depend on their number.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from edgecompress.errors import EdgecompressError, InputError, first_line, plural
from edgecompress.system.cores import available_cores, bound_cores

TIMEOUT = timedelta(hours=6)
"""Time that a worker waits at an exchange: the first one may measure for long what the others are told. Where one dies,
``torchrun`` ends the others."""

Part = TypeVar("Part")


@dataclass(frozen=True, kw_only=True)
class Workers:
    """This process among all that share the work; ``on_this_machine`` of them share its cores."""

    rank: int = 0
    count: int = 1
    on_this_machine: int = 1

    @property
    def threads(self) -> int:
        """Threads for each session: 0, all cores, where no other worker needs them."""
        return 0 if self.on_this_machine == 1 else max(1, available_cores() // self.on_this_machine)

    def owns(self, index: int) -> bool:
        """Whether the batch ``index`` is this worker's to run.

        >>> [index for index in range(7) if Workers(rank=1, count=3).owns(index)]
        [1, 4]
        """
        return index % self.count == self.rank

    def exchange(self, make: Callable[[], Part]) -> list[Part]:
        """What every worker makes, in the order of their ranks; the same list for each.

        Raises:
            InputError: another worker was given something wrong; the message names the worker.
            EdgecompressError: another worker failed or is gone.
        """
        if self.count == 1:
            return [make()]
        try:
            part = make()
        except Exception as error:
            # The others are on their way here: without a word from this one they would wait in vain.
            self._gather((None, str(error) or type(error).__name__, isinstance(error, InputError)))
            raise
        answers = self._gather((part, None, False))
        for rank, (_, fault, is_input) in enumerate(answers):
            if fault is not None:
                kind = InputError if is_input else EdgecompressError
                raise kind(f"worker {rank} of {self.count} failed: {fault}")
        return [answer for answer, _, _ in answers]

    def _gather(self, answer: tuple[Any, str | None, bool]) -> list[Any]:
        import torch.distributed

        answers: list[Any] = [None] * self.count
        try:
            torch.distributed.all_gather_object(answers, answer)
        except RuntimeError as error:
            raise EdgecompressError(
                f"worker {self.rank} of {self.count} lost the others, one of which failed or did not answer for"
                f" {plural(TIMEOUT.seconds // 60, 'minute')}: {first_line(error)}; see what they told"
            ) from error
        return answers


def sharing_cores(places: Sequence[tuple[str, frozenset[int]]], rank: int) -> int:
    """How many workers a worker shares cores with, itself among them; a launcher may have bound each to its own.

    Args:
        places: the machine of each, and the cores that it may run on there.
        rank: of the worker.

    >>> sharing_cores([("a", frozenset({0, 1})), ("a", frozenset({2, 3})), ("b", frozenset({0, 1}))], 0)
    1
    """
    machine, cores = places[rank]
    return sum(other == machine and not cores.isdisjoint(theirs) for other, theirs in places)


@contextmanager
def joined_workers() -> Iterator[Workers]:
    """The workers that the environment tells of (``WORLD_SIZE``, ``RANK``, ``MASTER_ADDR``), joined over gloo.

    Raises:
        InputError: the environment names several workers, but not how to reach them, or not all of them came.
    """
    count = _number("WORLD_SIZE", 1)
    if count == 1:
        yield Workers()
        return
    import torch.distributed

    try:
        torch.distributed.init_process_group("gloo", timeout=TIMEOUT)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"the {plural(count, 'worker')} that WORLD_SIZE names do not meet: {first_line(error)};"
            " start them by torchrun or accelerate launch, or unset WORLD_SIZE"
        ) from error
    try:
        joined = Workers(rank=torch.distributed.get_rank(), count=count)
        sharing = sharing_cores(joined.exchange(lambda: (platform.node(), bound_cores())), joined.rank)
        yield replace(joined, on_this_machine=min(_number("LOCAL_WORLD_SIZE", count), sharing))
    finally:
        torch.distributed.destroy_process_group()


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{name} is {text!r}, not a number of workers; unset it, or start by torchrun or accelerate")
    return int(text)
