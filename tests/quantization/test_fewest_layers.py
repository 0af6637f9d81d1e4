"""The fewest layers that suffice are found from few evaluations, whatever the curves of noise and loss are."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgecompress.quantization.fewest_layers import End, expected_count, fewest_layers
from edgecompress.validation.acceptance import Standing


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Noise and losses by the number of layers that are more exact, both falling, and the largest loss that holds."""

    noise: list[float]
    losses: list[float]
    limit: float

    def search(self, trials: int, *, known: bool = False) -> list[Count]:
        layers = len(self.noise) - 1
        return fewest_layers(
            End(count=0, loss=self.losses[0]),
            End(count=layers, loss=self.losses[layers]),
            self.limit,
            self.noise.__getitem__,
            self.attempt,
            range(trials, 0, -1),
            known=known,
        )

    def attempt(self, count: int) -> Count:
        loss = self.losses[count]
        held = loss <= self.limit
        return Count(count=count, standing=Standing(held=held, loss=loss, limit=min(loss, self.limit)))


@dataclass(frozen=True, kw_only=True)
class Count:
    """A number of layers, and how the model with them stands."""

    count: int
    standing: Standing


numbers = st.floats(0, 10, allow_subnormal=False)


@st.composite
def curves(draw: st.DrawFn) -> Curve:
    """Any at all: loss need not follow noise, and layers may win nothing."""
    layers = draw(st.integers(1, 40))
    noise, losses = (sorted(draw(st.lists(numbers, min_size=layers, max_size=layers)), reverse=True) for _ in range(2))
    limit = draw(st.floats(0, max(losses[0], 0.1), exclude_max=True, allow_subnormal=False))
    return Curve(noise=[*noise, 0.0], losses=[max(losses[0], 0.1), *losses[1:], 0.0], limit=limit)


@given(curve=curves(), trials=st.integers(1, 6))
def test_a_count_that_suffices_is_found_within_the_trials(curve: Curve, trials: int) -> None:
    made = curve.search(trials)
    assert 1 <= len(made) <= trials
    assert any(tried.standing for tried in made)
    assert len({tried.count for tried in made}) == len(made)
    first = next(index for index, tried in enumerate(made) if tried.standing)
    assert len(made) <= first + 2
    assert all(tried.count < made[first].count for tried in made[:first])
    assert all(tried.count <= made[first].count * 2 / 3 for tried in made[first + 1 :])


@given(curve=curves(), trials=st.integers(1, 6))
def test_what_is_known_to_suffice_is_not_tried_again(curve: Curve, trials: int) -> None:
    assert all(tried.count < len(curve.noise) - 1 for tried in curve.search(trials, known=True))


@given(curve=curves())
def test_a_loss_in_proportion_to_the_noise_is_met_by_no_layer_too_many(curve: Curve) -> None:
    straight = Curve(noise=curve.noise, losses=curve.noise, limit=curve.noise[0] * 0.5)
    if straight.limit > 0:
        made = straight.search(40)
        first = next(tried.count for tried in made if tried.standing)
        assert first == next(count for count, loss in enumerate(straight.losses) if loss <= straight.limit)


def test_half_of_the_evaluations_of_doubling_and_halving_find_no_more_layers() -> None:
    """On curves whose loss is a power of the noise, and scatters: as metrics are."""
    draws = np.random.default_rng(0)
    ours, theirs, more = [], [], []
    for _ in range(1000):
        curve = _scattered(draws, int(draws.integers(5, 110)))
        made = curve.search(5)
        tried = _doubled_and_halved(curve)
        ours.append(1 + len(made))
        theirs.append(1 + len(tried))
        few, many = (min(each.count for each in found if each.standing) for found in (made, tried))
        more.append(few - many)
    assert median(ours) <= median(theirs) / 2
    assert np.mean(ours) <= 2 / 3 * np.mean(theirs)
    assert median(more) <= 0
    assert np.mean(more) < 0


def _scattered(draws: np.random.Generator, layers: int) -> Curve:
    gains = np.sort(draws.pareto(1.0, layers))[::-1] + 0.02
    power = np.maximum(np.concatenate([[gains.sum()], gains.sum() - np.cumsum(gains)]), 0.0)
    noise = power / power[0]
    noise[-1] = 0.0
    losses = draws.uniform(0.5, 20) * noise ** draws.uniform(0.6, 1.8)
    losses[1:-1] *= 1 + 0.05 * draws.standard_normal(layers - 1)
    return Curve(noise=noise.tolist(), losses=losses.tolist(), limit=float(losses[0] * draws.uniform(0.05, 0.9)))


def _doubled_and_halved(curve: Curve, evaluations: int = 6) -> list[Count]:
    """More layers by a constant factor until they suffice, then halving: what needs no noise."""
    most = len(curve.noise) - 1
    factor = max(2, int(np.ceil(most ** (1 / (evaluations - 2)))))
    few, enough = 0, None
    made: list[Count] = []
    while len(made) < evaluations - 1:
        if enough is None:
            count = min(max(1, factor * few), most)
        elif enough - few > 1:
            count = (few + enough) // 2
        else:
            break
        made.append(curve.attempt(count))
        few, enough = (few, count) if made[-1].standing else (count, enough)
    return made


def test_a_model_that_misses_another_budget_than_that_of_its_loss_is_met_halfway() -> None:
    noise = [4.0, 3.0, 2.0, 1.0, 0.0]
    assert expected_count(End(count=0, loss=1.0), End(count=4, loss=0.0), 1.0, noise.__getitem__) == 2
