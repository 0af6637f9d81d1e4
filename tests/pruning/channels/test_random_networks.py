"""Random networks: pruned, they are the silenced originals, in training too; what stays whole in them is named."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from torch import nn

from edgecompress.pruning.channels.structured import FIXED, cut_out
from tests.pruning.channels.random_networks import networks
from tests.pruning.channels.test_structured import FUZZING, TOLERANCE, count, draw, look_at
from tests.pruning.oracle import difference, silenced
from tests.pruning.zoo import Entry
from tests.pruning.zoo.sequence import Attention


# Shrinking such a network takes minutes; the one that failed is printed as it is.
@settings(max_examples=500 if FUZZING else 30, phases=(Phase.generate,), suppress_health_check=[HealthCheck.too_slow])
@given(networks(), st.integers(0, 2**16), st.sampled_from((0.25, 0.5, 0.75)))
def test_a_random_network_is_pruned_exactly(entry: Entry, seed: int, amount: float) -> None:
    network = entry.network(seed)
    note(str(network))
    subject = look_at(network, entry.inputs(seed))
    made = {name for name, _ in network.named_modules()}
    whole = [refusal.name for refusal in subject.refusals]
    assert subject.groups or whole
    assert all(name in made for name in whole)
    pruned = cut_out(subject, draw(subject, seed, amount))
    fixed = {refusal.name for refusal in pruned.refusals if refusal.reason == FIXED}
    assert fixed <= {f"{path}.qkv" for path, part in network.named_modules() if _has_one_key(part)}
    expected = silenced(network, pruned.removed)
    inputs = entry.inputs(seed + 1)
    assert difference(pruned.model, expected, inputs) <= TOLERANCE
    assert len(subject.groups) == len(fixed) or count(pruned.model) < count(network)
    # Statistics of a batch magnify what rounding leaves.
    assert difference(pruned.model.train(), expected.train(), inputs) <= 10 * TOLERANCE


def _has_one_key(part: nn.Module) -> bool:
    """Whether all heads share one value, whose channels could leave if the code had a size for them alone."""
    return isinstance(part, Attention) and part.shared == 1
