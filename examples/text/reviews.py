"""Reviews from a grammar: who thinks what of what, with negations, hearsay and changes of mind.

A bag of words does not get them: "they say the food was good, but i found it was never good" is a bad review.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence


def _words(text: str) -> list[str]:
    return text.split()


GOOD = _words("good great fine lovely superb tasty fresh friendly clean quick charming perfect")
BAD = _words("bad awful poor dull bland stale rude dirty slow noisy cold broken")
THINGS = _words("food soup bread wine coffee service waiter room table music menu kitchen garden view price dessert")
DEGREES = _words("very really quite rather so truly")
NOT = _words("not never hardly")
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
        *_words("the was , . but and at first later"),
    }
)
"""All words there are."""
LABELS = ("bad", "good")


def review(draw: random.Random) -> tuple[list[str], int]:
    """A review of three sentences as words, and its label, an index of ``LABELS``: what all of them say.

    What others say does not count, and of two judgements of the writer the later one replaces the first.
    """
    label = draw.randrange(2)
    sentences = [_sentence_that_says(label, draw) for _ in range(SENTENCES)]
    return [word for sentence in sentences for word in (*sentence, ".")], label


def _sentence_that_says(label: int, draw: random.Random) -> list[str]:
    while (found := _sentence(draw))[1] != label:
        pass
    return found[0]


def _sentence(draw: random.Random) -> tuple[list[str], int]:
    """A sentence, and its label."""
    makers: Sequence[Callable[[random.Random], tuple[list[str], int]]] = (_plain, _plain, _hearsay, _change)
    return draw.choice(makers)(draw)


def _plain(draw: random.Random) -> tuple[list[str], int]:
    words, label = _judgement(draw)
    return [*draw.choice(OWN).split(), *words], label


def _hearsay(draw: random.Random) -> tuple[list[str], int]:
    """What others say, then the writer's own word."""
    others, _ = _judgement(draw)
    own, label = _plain(draw)
    return [*draw.choice(HEARSAY).split(), *others, ",", "but", *own], label


def _change(draw: random.Random) -> tuple[list[str], int]:
    first, _ = _judgement(draw)
    later, label = _judgement(draw)
    return ["at", "first", *first, ",", "but", "later", *later], label


def _judgement(draw: random.Random) -> tuple[list[str], int]:
    positive, negated = draw.random() < 0.5, draw.random() < NEGATED
    adjective = draw.choice(GOOD if positive else BAD)
    degree = [draw.choice(DEGREES)] if draw.random() < 0.4 else []
    words = ["the", draw.choice(THINGS), "was", *([draw.choice(NOT)] if negated else []), *degree, adjective]
    return words, int(positive != negated)
