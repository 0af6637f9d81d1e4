"""Low rank: layers of a network become thinner ones in a row (Jaderberg et al. 2014, Kim et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.errors import RecipeError
from edgecompress.low_rank.activations import gather
from edgecompress.low_rank.calls import observe
from edgecompress.low_rank.goals import most, price, share_out
from edgecompress.low_rank.latency import network_ms, price_latency
from edgecompress.low_rank.layer_rank import Choice, by_energy, by_ratio
from edgecompress.low_rank.layers import check_finite, find_layers, refuse, replace, unprotected
from edgecompress.low_rank.options import Candidate, Option
from edgecompress.low_rank.options import candidate as make_candidate
from edgecompress.low_rank.request import LowRankRequest, check_request
from edgecompress.modules.copies import copied
from edgecompress.modules.forward import run_example
from edgecompress.progress import Progress
from edgecompress.pruning.counts import count_macs
from edgecompress.pruning.masks.layers import last_classifier
from edgecompress.runtime import tensors
from edgecompress.step import Refusal, StepResult
from edgecompress.timing.clock import Clock, OwnClock

LATENCY_ROUNDS = 3
"""Attempts at a latency goal, where the measured latency misses it."""


Values = Mapping[str, Any]
"""A choice of ranks as JSON can hold it."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The options of the layers that change, why others do not, and what was measured on the way."""

    options: Mapping[str, Option]
    refusals: tuple[Refusal, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)

    def to_values(self) -> Values:
        """Forms and ranks by the names of layers, and the rest."""
        ranks = {name: [option.form.name, list(option.rank)] for name, option in self.options.items()}
        return {
            "ranks": ranks,
            "refusals": [asdict(refusal) for refusal in self.refusals],
            "metrics": dict(self.metrics),
        }

    @classmethod
    def from_values(cls, values: Values, candidates: Sequence[Candidate]) -> Self:
        """Choice from the values of :meth:`to_values`, for the same layers."""
        known = {candidate.name: candidate for candidate in candidates}
        options = {}
        for name, (kind, rank) in values["ranks"].items():
            form = next(form for form in known[name].forms if form.name == kind)
            options[name] = known[name].option(form, tuple(rank))
        refusals = tuple(Refusal(**refusal) for refusal in values["refusals"])
        return cls(options=options, refusals=refusals, metrics=values["metrics"])


def _at_once(choose: Callable[[], Values]) -> Values:
    return choose()


def factorize(
    module: nn.Module,
    request: LowRankRequest,
    example: Batch | None = None,
    *,
    samples: Iterable[Batch] = (),
    progress: Progress | None = None,
    agree: Callable[[Callable[[], Values]], Values] = _at_once,
    clock: Clock | None = None,
) -> StepResult[nn.Module]:
    """Decompose the layers of a network for which that pays.

    Args:
        module: not modified; on any device, in any mode, which the new layers have too.
        request: what is asked.
        example: inputs that the network is called with by name. Multiply-accumulates and latency are those of a call
            with it, and layers whose weights other code reads are found by it; without it only
            ``nn.MultiheadAttention`` and ``nn.TransformerEncoderLayer`` are known to do that.
        samples: batches, read once and one at a time, for the moments of the inputs, so that the errors that count
            are those of the outputs; without them, weights.
        progress: told of long work.
        agree: handed what chooses the ranks; several processes, or a run that goes on after a kill, need one choice
            where it rests on measured times.
        clock: what times for a goal in latency; by default this machine, with the request's threads.

    Returns:
        The network with ``nn.Sequential`` in the place of layers; what was left whole; and ``original_`` and
        ``factorized_`` ``parameters``, ``macs`` (with an example) and ``latency_ms`` (with that goal).

    Raises:
        RecipeError: a value of the request, no layer that can be decomposed, or a goal that cannot be met; or the clock
            is a device that cannot be used.
        ModelError: the network does not run on the example, or holds weights that are not finite.
    """
    check_request(request)
    progress = progress or Progress()
    if request.goal in ("macs", "latency") and example is None:
        raise RecipeError(f"the goal {request.goal!r} needs example inputs; give them, or choose 'parameters'")
    candidates, refusals = _candidates(module, request, example, samples, progress)
    clock = clock or OwnClock(threads=request.threads)
    values = agree(lambda: _choose(module, candidates, request, example, clock, progress).to_values())
    chosen = Chosen.from_values(values, candidates)
    model = _built(module, chosen.options)
    if example is not None:
        run_example(copied(model), tensors(example.inputs))
    return StepResult(
        model=model,
        changes=tuple(
            _change(candidate, chosen.options[candidate.name])
            for candidate in candidates
            if candidate.name in chosen.options
        ),
        refusals=(*refusals, *chosen.refusals),
        metrics={**_metrics(module, model, example), **chosen.metrics},
    )


def _candidates(
    module: nn.Module, request: LowRankRequest, example: Batch | None, samples: Iterable[Batch], progress: Progress
) -> tuple[list[Candidate], tuple[Refusal, ...]]:
    """The layers that may change, with what is known of their inputs, and those that may not."""
    inputs = None if example is None else tensors(example.inputs)
    layers, whole = find_layers(module)
    classifier = last_classifier(module, inputs)
    layers, guarded = unprotected(layers, module, classifier, request.include, request.protect)
    if not layers:
        raise RecipeError(_nothing([*whole, *guarded]))
    check_finite(layers)
    observed = None if example is None else observe(module, layers, inputs)
    if observed is not None:
        layers = {name: layer for name, layer in layers.items() if name in observed.calls}
    moments, wide = gather(module, layers, samples, progress) if samples else ({}, ())
    calls = {} if observed is None else observed.calls
    found = [make_candidate(name, layer, calls.get(name, ()), moments.get(name)) for name, layer in layers.items()]
    return found, (*whole, *guarded, *(observed.refusals if observed else ()), *wide)


def _choose(
    module: nn.Module,
    candidates: Sequence[Candidate],
    request: LowRankRequest,
    example: Batch | None,
    clock: Clock,
    progress: Progress,
) -> Chosen:
    match request.goal:
        case None:
            return _one_by_one(candidates, request, progress)
        case "latency":
            assert example is not None
            return _by_latency(module, candidates, request, example, clock, progress)
        case "parameters":
            whole = sum(parameter.numel() for parameter in module.parameters())
        case "macs":
            assert example is not None
            whole = count_macs(copied(module), tensors(example.inputs))
    with progress.step("choosing ranks"):
        priced = [price(candidate, request.goal, request.multiple) for candidate in candidates]
        chosen = share_out(priced, whole, request.amount, request.goal)
    return Chosen(options=chosen, refusals=_unchosen(candidates, chosen, "the goal is met at less loss elsewhere"))


def _one_by_one(candidates: Sequence[Candidate], request: LowRankRequest, progress: Progress) -> Chosen:
    options: dict[str, Option] = {}
    refusals: list[Refusal] = []
    for candidate in progress.track(candidates, "choosing ranks", "layer"):
        choice = _choice_of(candidate, request)
        if isinstance(choice, Option):
            options[candidate.name] = choice
        else:
            refusals.append(refuse(candidate.name, candidate.layer, choice))
    return Chosen(options=options, refusals=tuple(refusals))


def _choice_of(candidate: Candidate, request: LowRankRequest) -> Choice:
    if request.energy is not None:
        return by_energy(candidate, request.energy, request.multiple)
    return by_ratio(candidate, request.rank_ratio, request.multiple)


def _by_latency(
    module: nn.Module,
    candidates: Sequence[Candidate],
    request: LowRankRequest,
    example: Batch,
    clock: Clock,
    progress: Progress,
) -> Chosen:
    """The goal is held against what ONNX Runtime takes for the new network, and aimed at anew."""
    (whole_ms,) = network_ms([module], example, clock)
    priced, slower = price_latency(candidates, request.multiple, whole_ms, clock, progress)
    amount = request.amount
    for _ in range(LATENCY_ROUNDS):
        chosen = share_out(priced, whole_ms, amount, "latency")
        before_ms, left_ms = network_ms([module, _built(module, chosen)], example, clock)
        reached = 1 - left_ms / before_ms
        if reached >= request.amount:
            break
        amount = min(amount * request.amount / max(reached, request.amount / 2, 0.01), most(priced, whole_ms))
    left_alone = {refusal.name for refusal in slower}
    others = _unchosen(
        [candidate for candidate in candidates if candidate.name not in left_alone],
        chosen,
        "the goal is met without it",
    )
    missed = Refusal(
        name="latency", kind="goal", reason=f"{reached:.1%} of it went, {request.amount:.1%} was asked for"
    )
    return Chosen(
        options=chosen,
        refusals=(*(() if reached >= request.amount else (missed,)), *slower, *others),
        metrics={"original_latency_ms": before_ms, "factorized_latency_ms": left_ms},
    )


def _built(module: nn.Module, options: Mapping[str, Option]) -> nn.Module:
    model = copied(module)
    for name, option in options.items():
        model = replace(model, name, option.form.build(option.rank))
    return model


def _unchosen(candidates: Sequence[Candidate], chosen: Mapping[str, Option], reason: str) -> tuple[Refusal, ...]:
    return tuple(
        refuse(candidate.name, candidate.layer, reason) for candidate in candidates if candidate.name not in chosen
    )


def _change(candidate: Candidate, option: Option) -> str:
    return f"{candidate.name}: {candidate} as {option}, {option.loss:.2%} of its energy lost"


def _metrics(module: nn.Module, model: nn.Module, example: Batch | None) -> dict[str, float | int | str]:
    figures: dict[str, float | int | str] = {}
    for when, network in (("original", module), ("factorized", model)):
        figures[f"{when}_parameters"] = sum(parameter.numel() for parameter in network.parameters())
        if example is not None:
            figures[f"{when}_macs"] = count_macs(copied(network), tensors(example.inputs)) // example.rows
    return figures


def _nothing(refusals: Sequence[Refusal]) -> str:
    """Reason why no layer can be decomposed."""
    reasons = "; ".join(f"{refusal.name}: {refusal.reason}" for refusal in refusals[:3])
    why = reasons or "it has no linear layer and no convolution"
    return f"no layer of this model can be decomposed ({why}); set low_rank.enabled=false"
