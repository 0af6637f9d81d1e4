"""The recipes that a search chooses among: keys of a target's recipe, and the values that each may take."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from edgecompress.recipe.arguments import assignments
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Quantization, Recipe
from edgecompress.targets import TargetProfile, load_profile
from edgecompress.targets.cpus import answers_differ
from edgecompress.targets.profile import overridden

Setting = bool | float | str
LEAST, STEP = 0.1, 0.05
"""Shares that pruning and low rank take: from the first up to ``pruning.warn_above``, in steps of the second."""
SPREADS = ("uniform", "global", "sensitivity")
OBSERVERS = ("histogram", "min_max", "mse", "percentile", "entropy")
SCHEMES = ("fbgemm", "qnnpack")
PASSES = ("quantization.adaround", "quantization.bias_correction", "quantization.equalization")
"""What recovers accuracy without training data."""
EXACT_LAYERS = (0, 1, 2, 4, 8)
"""How many layers are float, or uint16 on an NPU, between an INT8 network and a float one."""
SHRINKING = ("pruning", "low_rank")
"""Techniques that take a share of the network away."""
MODEL_OF = "edge"
"""The target whose settings a technique has that the target of the search leaves off and says nothing of."""
BORROWED = {
    "pruning": ("goal", "spread", "multiple"),
    "quantization": ("scheme", "narrow", "placement", "adaround", "bias_correction", "fallback_evaluations"),
}
BORROWED_IN_TRAINING = ("training.learning_rate", "distillation.alpha", "distillation.block_weight")
RANKS = {"low_rank.multiple": 8}
"""As in the comparison of all techniques."""


@dataclass(frozen=True, kw_only=True)
class FreeKey:
    """A key of a recipe, the values that it may take, and what other keys must be for it to count.

    Numbers stand in their order. Where all are at equal distances, ``step`` is the distance, and near values are alike.
    """

    key: str
    values: tuple[Setting, ...]
    when: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def step(self) -> float | None:
        """The distance between two values that follow one another; None where these are no such numbers.

        >>> FreeKey(key="pruning.amount", values=(0.1, 0.15, 0.2)).step, FreeKey(key="x", values=("a", "b")).step
        (0.05, None)
        """
        numbers = [value for value in self.values if isinstance(value, float)]
        steps = {round(after - before, 6) for before, after in itertools.pairwise(numbers)}
        return steps.pop() if len(numbers) == len(self.values) and len(steps) == 1 else None


Pick = Callable[[FreeKey], Setting]
"""Takes one of the values of a choice."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """The recipes of a search: those of ``profile`` with every key that is a choice set to one of its values."""

    profile: TargetProfile
    free: tuple[FreeKey, ...]

    def settings(self, pick: Pick) -> dict[str, Setting]:
        """The keys that count, each with its value; ``pick`` is asked where there is more than one."""
        chosen: dict[str, Setting] = {}
        for choice in self.free:
            if all(chosen.get(key, self.value(key)) == value for key, value in choice.when.items()):
                chosen[choice.key] = choice.values[0] if len(choice.values) == 1 else pick(choice)
        return chosen

    def own(self) -> dict[str, Setting]:
        """The settings of the target's own recipe."""
        return self.settings(lambda choice: self.value(choice.key))

    def starts(self) -> tuple[dict[str, Setting], ...]:
        """The target's own settings, and these with nothing taken away, or with the middle or the least share of it.

        How much is taken away is what spans a front, and for all other keys the target knows good values.
        """
        off = {f"{technique}.enabled": False for technique in SHRINKING}
        varied: list[Mapping[str, Setting]] = [{}, off]
        for place in ("middle", "least"):
            for technique in SHRINKING:
                amount = f"{technique}.amount"
                varied.append({**off, f"{technique}.enabled": True, amount: self._share(amount, place)})
        found = [self.settings(functools.partial(self._varied, each)) for each in varied]
        return tuple(settings for index, settings in enumerate(found) if settings not in found[:index])

    def _varied(self, wanted: Mapping[str, Setting], choice: FreeKey) -> Setting:
        """The wanted value of a choice, where it may take that, and else the target's own."""
        value = wanted.get(choice.key)
        return value if value is not None and value in choice.values else self.value(choice.key)

    def _share(self, key: str, place: str) -> Setting:
        """The middle or the least of the shares that a key may take; the target's own where it takes no other."""
        values = next((choice.values for choice in self.free if choice.key == key), (self.value(key),))
        return values[0 if place == "least" else len(values) // 2]

    def value(self, key: str) -> Setting:
        """What the target's recipe has at a key."""
        return _value(self.profile.recipe, key)

    def profile_of(self, settings: Mapping[str, Setting]) -> TargetProfile:
        """The target with these settings."""
        return overridden(self.profile, assignments("settings", settings))


def make_space(
    profile: TargetProfile, roles: Collection[str], *, module: bool = True, fixed: Collection[str] = ()
) -> Space:
    """The space around a target.

    Args:
        profile: the target.
        roles: of the data that are there.
        module: whether the model is a PyTorch module: nothing else can be pruned and trained.
        fixed: keys that the user set, and that stay as they are.
    """
    ground = replace(profile, recipe=_with_borrowed(profile.recipe, fixed))
    recipe = ground.recipe
    found = (*_of_the_network(recipe, "train" in roles, module), *_of_the_integers(recipe, "train" in roles))
    return Space(profile=ground, free=tuple(choice for choice in found if choice.key not in fixed))


def _value(recipe: Recipe, key: str) -> Setting:
    value: Setting = functools.reduce(getattr, key.split("."), recipe)  # type: ignore[assignment]
    return value


def _with_borrowed(recipe: Recipe, fixed: Collection[str]) -> Recipe:
    """A recipe whose techniques that are off have sensible settings for when a trial turns them on."""
    model, plain = load_profile(MODEL_OF).recipe, Recipe()
    keys = [f"{table}.{key}" for table, own in BORROWED.items() if table not in recipe.techniques for key in own]
    keys += [] if recipe.trains else BORROWED_IN_TRAINING
    wanted = {key: _value(model, key) for key in keys} | ({} if recipe.low_rank.enabled else RANKS)
    unsaid = {
        key: value for key, value in wanted.items() if key not in fixed and _value(recipe, key) == _value(plain, key)
    }
    return override(recipe, assignments("settings", unsaid))


def _of_the_network(recipe: Recipe, trained: bool, module: bool) -> Iterator[FreeKey]:
    """Pruning and low rank, and whether the network stays float: that is worth something where one of them works."""
    pruning, factorized = "pruning.enabled", "low_rank.enabled"
    most = recipe.pruning.warn_above
    if not module:
        yield FreeKey(key=pruning, values=(False,))
        yield FreeKey(key=factorized, values=(False,))
    elif trained and not recipe.distillation.enabled:
        both = recipe.pruning.enabled and recipe.low_rank.enabled
        yield FreeKey(key=pruning, values=(True, False))
        yield FreeKey(key=factorized, values=(True, False), when={} if both else {pruning: False})
    elif recipe.pruning.enabled and not recipe.distillation.enabled:
        yield FreeKey(key=pruning, values=(True, False))
        most = min(most, recipe.pruning.amount)  # no training data to recover with: as far as the target itself goes
    yield FreeKey(key="pruning.amount", values=_shares(most, recipe.pruning.amount), when={pruning: True})
    yield FreeKey(key="pruning.spread", values=_with(SPREADS, recipe.pruning.spread), when={pruning: True})
    yield FreeKey(key="low_rank.amount", values=_shares(most, recipe.low_rank.amount), when={factorized: True})
    integers = "quantization.enabled"
    free = (True,) if recipe.quantization.enclose else (True, False)
    if recipe.distillation.enabled:
        yield FreeKey(key=integers, values=free)
        return
    yield FreeKey(key=integers, values=free, when={pruning: True})
    yield FreeKey(key=integers, values=free, when={pruning: False, factorized: True})
    yield FreeKey(key=integers, values=(True,), when={pruning: False, factorized: False})


def _of_the_integers(recipe: Recipe, trained: bool) -> Iterator[FreeKey]:
    """What the integers mean, and what recovers accuracy."""
    own, on = recipe.quantization, {"quantization.enabled": True}
    if not own.enclose:  # what an NPU takes, its target says
        schemes = [name for name in SCHEMES if not answers_differ(recipe.cpu.isa, _integers(name))]
        yield FreeKey(key="quantization.scheme", values=_with(schemes, own.scheme), when=on)
        narrow = ("activations", "weights", "auto")
        yield FreeKey(key="quantization.narrow", values=narrow, when={**on, "quantization.scheme": "fbgemm"})
    yield FreeKey(key="quantization.granularity", values=("per_channel", "per_tensor"), when=on)
    yield FreeKey(key="quantization.observer", values=_with(OBSERVERS, own.observer), when=on)
    for key in PASSES:
        yield FreeKey(key=key, values=(True, False), when=on)
    yield FreeKey(key="quantization.exact_layers", values=_with(EXACT_LAYERS, own.exact_layers), when=on)
    if trained:
        yield FreeKey(key="quantization.training", values=_with(("never", "always"), own.training), when=on)


def _integers(scheme: str) -> Quantization:
    return Quantization(enabled=True, scheme=scheme)  # type: ignore[arg-type]


def _shares(most: float, own: float) -> tuple[Setting, ...]:
    """Shares at equal distances up to the most that is sane, and the target's own, in their order."""
    count = int(round((most - LEAST) / STEP, 6))
    return tuple(sorted({*(round(LEAST + STEP * place, 6) for place in range(count + 1)), own}))


def _with(values: Collection[Setting], own: Setting) -> tuple[Setting, ...]:
    """The values with the target's own among them."""
    return tuple(values) if own in values else (*values, own)
