"""Threads that ask a storage of a study by turns, in an order that a test draws."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import optuna


class Turns(optuna.storages.InMemoryStorage):
    """A storage that waits, at what its workers say and ask, for the turn of the thread; the rest has no order."""

    def __init__(self) -> None:
        super().__init__()
        self._order: list[int] = []
        self._working: set[int] = set()
        self._moved = threading.Condition()

    def run(self, work: Sequence[Callable[[], None]], order: Sequence[int]) -> None:
        """Do each work in a thread of its own; ``order`` has their numbers, and that of an ended one is skipped."""
        self._order, self._working = [*order], {*range(len(work))}
        threads = [threading.Thread(target=self._do, args=(do,), name=str(each)) for each, do in enumerate(work)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._moved:
                self._working.remove(int(threading.current_thread().name))
                self._moved.notify_all()

    def _is_next(self) -> bool:
        while self._order and self._order[0] not in self._working:
            del self._order[0]
        return not self._order or str(self._order[0]) == threading.current_thread().name

    def _take_turn(self) -> None:
        with self._moved:
            if self._working:
                assert self._moved.wait_for(self._is_next, timeout=30)
                del self._order[:1]
                self._moved.notify_all()

    def set_trial_user_attr(self, *given: Any, **named: Any) -> None:
        self._take_turn()
        super().set_trial_user_attr(*given, **named)

    def get_all_trials(self, *given: Any, **named: Any) -> Any:
        self._take_turn()
        return super().get_all_trials(*given, **named)
