"""Every exception that edgecompress raises on purpose.

EdgecompressError            an internal failure                        exit status 3
├── ParityError              a step changed what the network computes   exit status 3
└── InputError               what the caller gave cannot be used        exit status 2
    ├── ModelError           the model, its weights, or its capture
    ├── DataError            calibration or evaluation data
    │   └── DivergedError    training data, or a learning rate, that drive the loss out of all numbers
    ├── RecipeError          a recipe, a target profile, a ``--set``
    └── OutputError          the output folder, or a bundle that is read

A message is one line: first the cause, then the fix.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class EdgecompressError(Exception):
    """Root of the tree; raised itself when something inside failed that the caller did not cause."""

    exit_status = 3

    def __str__(self) -> str:
        """One line, whatever the names in it hold."""
        return " ".join(super().__str__().splitlines())


class ParityError(EdgecompressError):
    """A step's outputs differ from those of the model it was given."""


class InputError(EdgecompressError, ValueError):
    """What the caller gave is wrong; the message says what, and how to fix it."""

    exit_status = 2


class ModelError(InputError):
    """A model that cannot be loaded, called or captured, or weights that do not fit it."""


class DataError(InputError):
    """Batches that are missing, malformed, not finite, or that do not fit the model."""


class DivergedError(DataError):
    """A training whose loss or gradient is not finite; the weights are those before that step."""


class RecipeError(InputError):
    """A recipe, profile or override with an unknown key, a wrong type or an impossible value."""


class OutputError(InputError):
    """A folder that cannot be written, or a bundle that is not what its manifest says."""


OUR_FAULT = "this is a fault of edgecompress"
"""The fix for what no caller can have caused."""

USER_CODE_FAILS = (Exception, SystemExit)
"""What to catch around a user's own code: a ``sys.exit`` in it must not set the exit status of ours."""


def a_kind(value: object) -> str:
    """What a value is, with its article, for use inside a one-line message.

    >>> a_kind(3), a_kind([]), a_kind(None)
    ('an int', 'a list', 'None')
    """
    if value is None:
        return "None"
    name = type(value).__name__
    return f"an {name}" if name == "ndarray" or name[0] in "aeiouAEIOU" else f"a {name}"


def plural(number: int, noun: str) -> str:
    """A number of things, for use inside a one-line message.

    >>> plural(1, "core"), plural(2, "core"), plural(0, "batch"), plural(3, "epoch"), plural(12345, "entry")
    ('1 core', '2 cores', '0 batches', '3 epochs', '12,345 entries')
    """
    return f"{number:,} {noun if number == 1 else _plural_of(noun)}"


def _plural_of(noun: str) -> str:
    if noun.endswith("axis"):
        return f"{noun.removesuffix('is')}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun.removesuffix('y')}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "sh", "tch", "nch")) else f"{noun}s"


def first_line(error: BaseException) -> str:
    """The first line of an exception's message that says something, for use inside a one-line message.

    >>> first_line(ValueError("\\n  shapes differ\\nat line 7"))
    'shapes differ'
    >>> first_line(KeyError())
    'KeyError'
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line), type(error).__name__)


def they_are(names: Sequence[str]) -> str:
    """Names as the subject of a sentence, with its verb.

    >>> they_are(["min_speedup"]), they_are(["min_speedup", "max_latency_ms"])
    ('min_speedup is', 'min_speedup, max_latency_ms are')
    """
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def nearest(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """A suggestion to append to a message about an unknown ``word``; ``otherwise`` where nothing is close.

    >>> nearest("mobil", ["mobile", "edge"])
    "; did you mean 'mobile'?"
    >>> nearest("xyz", ["mobile", "edge"], "; targets list names them")
    '; targets list names them'
    """
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else otherwise
