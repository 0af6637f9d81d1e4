"""Spoken words from a small synthesizer: a voice, real or whispered, through resonances that glide from sound to sound.

Each speaker has a pitch, a length of the throat, a speed and a loudness; each recording has noise.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

RATE = 8000
"""Samples a second."""
SECONDS = 1.0
NOISE = (0.02, 0.2)
"""The least and the most of it; a voice has an amplitude of about 1."""

Array = np.ndarray

VOWELS = {
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
    "m": (250, 1200, 2100),
    "l": (360, 1050, 2800),
    "r": (310, 1060, 1380),
}
"""Resonances in Hz of what the voice carries (Peterson and Barney 1952; nasals and liquids are close to it)."""
HISSES = {
    "s": (2800, 3500, 3900),
    "f": (1200, 2400, 3400),
    "t": (2500, 3000, 3800),
    "p": (600, 1100, 2300),
    "k": (1500, 2100, 3200),
}
"""Those of what is whispered."""
SHORT = "tpk"
"""A silence, and a short burst."""
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
SOUNDS = ("ies", "mou", "ap", "taum", "left", "rait", "om", "of", "stop", "kou")
"""How each of ``WORDS`` is said."""
CLASSES = (*WORDS, "other", "silence")


def recording(draw: np.random.Generator) -> tuple[Array, int]:
    """A second of sound, float32 (8000,), and its label, an index of ``CLASSES``."""
    label = int(draw.integers(len(CLASSES)))
    noise = draw.uniform(*NOISE) * draw.normal(size=int(RATE * SECONDS))
    if CLASSES[label] != "silence":
        said = _spoken(draw, SOUNDS[label] if label < len(WORDS) else _other(draw))
        start = draw.integers(len(noise) - len(said) + 1)
        noise[start : start + len(said)] += said
    return noise.astype(np.float32), label


def _other(draw: np.random.Generator) -> str:
    """Two to four sounds that are no word of ours."""
    while True:
        said = "".join(draw.choice([*VOWELS, *HISSES], draw.integers(2, 5)))
        if said not in SOUNDS and any(sound in VOWELS for sound in said):
            return said


def _spoken(draw: np.random.Generator, sounds: str) -> Array:
    """The sounds one after another, by a speaker of their own."""
    pitch, throat = draw.uniform(80, 240), draw.uniform(0.88, 1.15)
    speed, loudness = draw.uniform(0.75, 1.25), draw.uniform(0.4, 1.2)
    parts = [_sounded(draw, sound, pitch, throat, speed) for sound in sounds]
    said = np.concatenate(parts)[: int(RATE * SECONDS)]
    return loudness * np.convolve(said, np.hanning(9) / 4, "same")


def _sounded(draw: np.random.Generator, sound: str, pitch: float, throat: float, speed: float) -> Array:
    short, voiced = sound in SHORT, sound in VOWELS
    length = int(RATE * draw.uniform(0.8, 1.2) * (0.05 if short else 0.13) / speed)
    source = _voice(draw, length, pitch) if voiced else 0.3 * draw.normal(size=length)
    for resonance in (VOWELS if voiced else HISSES)[sound]:
        source = _resonated(source, throat * resonance * draw.uniform(0.95, 1.05))
    part = source / (np.std(source) + 1e-9) * (1.0 if voiced else 0.4)
    part *= np.sin(np.linspace(0, np.pi, length)) ** 0.3
    return np.concatenate([np.zeros(length), part]) if short else part


def _voice(draw: np.random.Generator, length: int, pitch: float) -> Array:
    """Pulses of a pitch that falls a little."""
    phase = np.cumsum(pitch * np.linspace(1.05, 0.9, length) / RATE) + draw.uniform()
    return np.diff(np.floor(phase), prepend=0.0) + 0.05 * draw.normal(size=length)


def _resonated(source: Array, frequency: float) -> Array:
    """Through a resonator of two poles (Klatt 1980)."""
    radius = np.exp(-np.pi * (60 + 0.05 * frequency) / RATE)
    turn = 2 * np.pi * min(frequency, 0.48 * RATE) / RATE
    return np.asarray(lfilter([1 - radius], [1, -2 * radius * np.cos(turn), radius**2], source))
