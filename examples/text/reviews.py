"""Reviews from a grammar: who thinks what of what, with negations, hearsay and changes of mind.

A bag of words does not get them: "they say the food was good, but i found it was never good" is a bad review.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

GOOD = [
    "good",
    "great",
    "fine",
    "lovely",
    "superb",
    "tasty",
    "fresh",
    "friendly",
    "clean",
    "quick",
    "charming",
    "perfect",
]
BAD = ["bad", "awful", "poor", "dull", "bland", "stale", "rude", "dirty", "slow", "noisy", "cold", "broken"]
THINGS = [
    "food",
    "soup",
    "bread",
    "wine",
    "coffee",
    "service",
    "waiter",
    "room",
    "table",
    "music",
    "menu",
    "kitchen",
    "garden",
    "view",
    "price",
    "dessert",
]
DEGREES = ["very", "really", "quite", "rather", "so", "truly"]
NOT = ["not", "never", "hardly"]
HEARSAY = ("they say", "my friends think", "the guide claims", "people told me")
SENTENCES = 3
NEGATED = 0.25
OWN = ("", "i found", "for me", "in truth")

WORDS = sorted(
    {
        *GOOD,
        *BAD,
        *THINGS,
        *DEGREES,
        *NOT,
        *(word for phrase in (*HEARSAY, *OWN) for word in phrase.split()),
        *["the", "was", ",", ".", "but", "and", "at", "first", "later"],
    }
)
"""All words there are."""
LABELS = ("bad", "good")


def mixed_review(draw: random.Random) -> tuple[list[str], int]:
    """A review of three sentences as words, and its label, an index of ``LABELS``: what most of them say."""
    return _joined([_sentence(draw) for _ in range(SENTENCES)])


def clear_review(draw: random.Random) -> tuple[list[str], int]:
    """A review whose three sentences agree: what is learned first."""
    wanted = draw.choice((1, -1))
    return _joined([_sentence_that_says(wanted, draw) for _ in range(SENTENCES)])


def _joined(sentences: list[tuple[list[str], int]]) -> tuple[list[str], int]:
    words = [word for sentence, _ in sentences for word in (*sentence, ".")]
    return words, int(sum(vote for _, vote in sentences) > 0)


def _sentence_that_says(wanted: int, draw: random.Random) -> tuple[list[str], int]:
    while (sentence := _sentence(draw))[1] != wanted:
        pass
    return sentence


def _sentence(draw: random.Random) -> tuple[list[str], int]:
    """A sentence, and what it says: 1 for good, -1 for bad.

    What others say does not count, and of two judgements of the writer the later one replaces the first.
    """
    makers: Sequence[Callable[[random.Random], tuple[list[str], int]]] = (_plain, _plain, _hearsay, _change)
    return draw.choice(makers)(draw)


def _plain(draw: random.Random) -> tuple[list[str], int]:
    words, vote = _judgement(draw)
    return [*draw.choice(OWN).split(), *words], vote


def _hearsay(draw: random.Random) -> tuple[list[str], int]:
    """What others say, then the writer's own word."""
    others, _ = _judgement(draw)
    own, vote = _plain(draw)
    return [*draw.choice(HEARSAY).split(), *others, ",", "but", *own], vote


def _change(draw: random.Random) -> tuple[list[str], int]:
    first, _ = _judgement(draw)
    later, vote = _judgement(draw)
    return ["at", "first", *first, ",", "but", "later", *later], vote


def _judgement(draw: random.Random) -> tuple[list[str], int]:
    positive, negated = draw.random() < 0.5, draw.random() < NEGATED
    adjective = draw.choice(GOOD if positive else BAD)
    degree = [draw.choice(DEGREES)] if draw.random() < 0.4 else []
    words = ["the", draw.choice(THINGS), "was", *([draw.choice(NOT)] if negated else []), *degree, adjective]
    return words, 1 if positive != negated else -1
