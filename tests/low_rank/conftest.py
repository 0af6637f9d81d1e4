"""The networks of these tests are too small for several threads."""

from __future__ import annotations

from tests.pruning.conftest import one_thread

__all__ = ["one_thread"]
