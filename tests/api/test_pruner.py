"""The front end: a copy is pruned as asked and says so; what cannot be done leaves it as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress import InputError, ModelError, ModelPruner, RecipeError
from edgecompress.pruning.criterion import UnitGroup
from tests.networks import ConvNet, LinearStack, ResidualNet, TwoInputs, images, seeded, vectors
from tests.pruning.networks import HeadFirst, Tied, tokens

SIZES = {"features.0.weight": 216, "features.3.weight": 1152}
CALLS: dict[str, Callable[[ModelPruner], Any]] = {
    "magnitude": lambda pruner: pruner.magnitude_pruning(0.5),
    "magnitude, global": lambda pruner: pruner.magnitude_pruning(0.5, scope="global"),
    "random": lambda pruner: pruner.random_pruning(0.5),
    "random, global": lambda pruner: pruner.random_pruning(0.5, scope="global"),
    "pattern": lambda pruner: pruner.pattern_pruning(2, 4),
}


def _weight(model: nn.Module, name: str) -> Tensor:
    module_name, _, tensor_name = name.rpartition(".")
    tensor: Tensor = getattr(model.get_submodule(module_name), tensor_name)
    return tensor.detach()


def _conv1d(outputs: int, inputs: int) -> nn.Module:
    from transformers.pytorch_utils import Conv1D

    return Conv1D(outputs, inputs)  # type: ignore[no-any-return]


def _zeros(model: nn.Module, name: str) -> int:
    return int((_weight(model, name) == 0).sum())


def _same_state(this: nn.Module, other: nn.Module) -> bool:
    first, second = this.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", CALLS)
def test_the_model_that_was_given_is_not_modified(name: str) -> None:
    model = seeded(ConvNet).train()
    pruner = ModelPruner(model, images(2)[0][0])
    CALLS[name](pruner)
    pruner.apply_masks()
    assert _same_state(model, seeded(ConvNet))
    assert model.training
    assert pruner.model.training
    assert all(type(part).__module__.startswith(("torch.nn.modules", "tests.")) for part in model.modules())


@pytest.mark.parametrize("sparsity", [0, 0.1, 1 / 3, 0.5, 0.99])
def test_every_layer_loses_the_share(sparsity: float) -> None:
    pruner = ModelPruner(seeded(ConvNet))
    result = pruner.magnitude_pruning(sparsity)
    counts = {name: round(sparsity * size) for name, size in SIZES.items()}
    assert {name: _zeros(pruner.model, name) for name in SIZES} == counts
    assert result.changes == tuple(f"{name}: {counts[name]} of {size} weights are zero" for name, size in SIZES.items())
    assert pruner.get_sparsity() == result.metrics["sparsity"] == sum(counts.values()) / sum(SIZES.values())
    assert pruner.layer_sparsity() == {name: counts[name] / size for name, size in SIZES.items()}
    assert [refusal.name for refusal in result.refusals] == ["classifier.weight"]
    assert _zeros(pruner.model, "classifier.weight") == 0
    assert result.model is pruner.model


def test_a_global_share_takes_from_the_layer_with_smaller_weights() -> None:
    pruner = ModelPruner(seeded(ConvNet))
    _weight(pruner.model, "features.3.weight").div_(1000)
    pruner.magnitude_pruning(0.5, scope="global")
    assert pruner.layer_sparsity() == {"features.0.weight": 0, "features.3.weight": 684 / 1152}


def test_calls_add_up_to_the_last_share() -> None:
    pruner = ModelPruner(seeded(LinearStack))
    pruner.magnitude_pruning(0.3)
    first = _weight(pruner.model, "layers.0.weight") == 0
    pruner.random_pruning(0.6)
    second = _weight(pruner.model, "layers.0.weight") == 0
    assert (second | ~first).all()
    assert int(second.sum()) == round(0.6 * 2048)
    pruner.magnitude_pruning(0.1)
    assert torch.equal(_weight(pruner.model, "layers.0.weight") == 0, second)
    pruner.apply_masks()
    pruner.random_pruning(0.7)
    assert int((_weight(pruner.model, "layers.0.weight") == 0).sum()) == round(0.7 * 2048)


def test_a_pattern_holds_in_every_layer_and_over_an_earlier_share() -> None:
    pruner = ModelPruner(seeded(ConvNet))
    pruner.magnitude_pruning(0.7)
    before = _weight(pruner.model, "features.3.weight") == 0
    pruner.pattern_pruning(2, 4)
    after = _weight(pruner.model, "features.3.weight")
    assert (after[before] == 0).all()
    assert ((after.view(16, 2, 4, 3, 3) != 0).sum(2) <= 2).all()
    stem = _weight(pruner.model, "features.0.weight")  # two of a remainder of three inputs stay
    assert ((stem != 0).sum(1) <= 2).all()


def test_a_pattern_alone_keeps_exactly_n_of_m() -> None:
    pruner = ModelPruner(seeded(LinearStack))
    pruner.pattern_pruning(1, 4, include=("layers.4",))
    assert pruner.get_sparsity() == 0.75
    for layer in ("layers.0", "layers.2", "layers.4"):
        weight = _weight(pruner.model, f"{layer}.weight")
        assert ((weight.view(len(weight), -1, 4) != 0).sum(-1) == 1).all()


def test_a_pattern_follows_the_inputs_of_conv1d_of_transformers_and_of_transposed_groups() -> None:
    model = nn.Sequential(nn.ConvTranspose1d(12, 4, 3, groups=2), nn.Flatten(), _conv1d(8, 4), nn.Linear(8, 2))
    pruner = ModelPruner(model)
    pruner.pattern_pruning(2, 4)
    assert ((_weight(pruner.model, "2.weight").view(1, 4, 8) != 0).sum(1) == 2).all()
    # Each group of six inputs is a block of four and a remainder of two.
    transposed = _weight(pruner.model, "0.weight").view(2, 6, 2, 3) != 0
    assert (transposed[:, :4].sum(1) == 2).all()
    assert transposed[:, 4:].all()


def test_depthwise_convolutions_keep_their_weights_under_a_pattern() -> None:
    pruner = ModelPruner(seeded(ResidualNet))
    pruner.pattern_pruning(2, 4)
    assert pruner.layer_sparsity()["depthwise.0.weight"] == 0


def test_the_seed_decides() -> None:
    pruners = [ModelPruner(seeded(ConvNet)) for _ in range(3)]
    for pruner, seed in zip(pruners, (1, 1, 2), strict=True):
        pruner.random_pruning(0.5, seed=seed)
    assert _same_state(pruners[0].model, pruners[1].model)
    assert not _same_state(pruners[0].model, pruners[2].model)


def test_the_classifier_is_the_last_to_run() -> None:
    assert ModelPruner(HeadFirst(), torch.ones(1, 6)).magnitude_pruning(0.5).changes[0].startswith("body.weight")
    assert ModelPruner(HeadFirst()).magnitude_pruning(0.5).changes[0].startswith("head.weight")


def test_what_was_named_counts_in_the_sparsity_also_when_permanent() -> None:
    pruner = ModelPruner(seeded(TwoInputs))
    assert pruner.layer_sparsity().keys() == {"mix.weight"}
    pruner.magnitude_pruning(0.5, include=("embedding", "head"))
    for _ in range(2):
        assert pruner.get_sparsity() == 0.5
        assert pruner.layer_sparsity().keys() == {"embedding.weight", "mix.weight", "head.weight"}
        pruner.apply_masks()


def test_what_is_protected_counts_as_dense() -> None:
    pruner = ModelPruner(seeded(ConvNet))
    pruner.magnitude_pruning(0.5, protect=("features.0",))
    assert pruner.get_sparsity() == 576 / (216 + 1152)


def test_a_shared_weight_is_masked_once_and_attention_is_pruned() -> None:
    pruner = ModelPruner(Tied(), tokens())
    result = pruner.magnitude_pruning(0.5)
    assert [change.split(":")[0] for change in result.changes] == [
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "first.weight",
    ]
    assert torch.equal(_weight(pruner.model, "first.weight"), _weight(pruner.model, "second.weight"))
    wanted = pruner.model.eval()(tokens())
    pruner.apply_masks()
    assert pruner.model.first.weight is pruner.model.second.weight  # type: ignore[union-attr]
    assert torch.equal(pruner.model(tokens()), wanted)


def test_attention_with_projections_of_its_own_trains_and_exports_masked() -> None:
    class Cross(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, kdim=4, vdim=6, batch_first=True)
            self.head = nn.Linear(8, 2)

        def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            return self.head(self.attention(query, key, value)[0])  # type: ignore[no-any-return]

    pruner = ModelPruner(Cross())
    assert len(pruner.magnitude_pruning(0.5).changes) == 4
    inputs = (torch.randn(1, 3, 8), torch.randn(1, 5, 4), torch.randn(1, 5, 6))
    torch.autograd.backward(pruner.model(*inputs).sum())
    program = torch.export.export(pruner.model.eval(), inputs).module()
    assert torch.allclose(program(*inputs), pruner.model(*inputs), atol=1e-6)
    assert torch.allclose(ModelPruner(pruner.model).model(*inputs), pruner.model(*inputs), atol=1e-6)


def test_masks_hold_through_training_and_become_permanent() -> None:
    pruner = ModelPruner(seeded(LinearStack).train())
    pruner.magnitude_pruning(0.8)
    optimizer = torch.optim.SGD(pruner.model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for features, labels in vectors():
        torch.autograd.backward(nn.functional.cross_entropy(pruner.model(features), labels))
        optimizer.step()
    trained = pruner.model(vectors()[0][0])
    sparsity = pruner.get_sparsity()
    assert sparsity == pytest.approx(0.8, abs=1e-3)
    assert pruner.apply_masks().changes[0] == "layers.0.weight: its zeros are permanent"
    assert torch.equal(pruner.model(vectors()[0][0]), trained)
    assert pruner.get_sparsity() == sparsity
    assert pruner.apply_masks().changes == ()


def test_a_saved_state_is_loaded_by_a_pruner_of_sparsity_zero() -> None:
    saved, fresh = ModelPruner(seeded(ConvNet)), ModelPruner(seeded(ConvNet, seed=1))
    saved.magnitude_pruning(0.5)
    fresh.magnitude_pruning(0)
    fresh.model.load_state_dict(saved.model.state_dict())
    assert fresh.layer_sparsity() == saved.layer_sparsity()
    fresh.apply_masks()
    assert fresh.layer_sparsity() == saved.layer_sparsity()


def test_the_statistics_are_those_of_the_model_that_ships() -> None:
    pruner = ModelPruner(seeded(LinearStack), vectors()[0][0])
    before = pruner.stats()
    assert before["compression_ratio"] == pytest.approx(1, rel=0.01)
    pruner.magnitude_pruning(0.9, include=("layers.4",))
    after = pruner.stats()
    assert after["sparsity"] == pruner.get_sparsity() == pytest.approx(0.9, abs=1e-3)
    assert after["original_params"] == after["current_params"] == sum(p.numel() for p in pruner.model.parameters())
    assert after["original_macs"] == after["current_macs"] == 32 * 64 + 64 * 48 + 48 * 10
    assert after["original_nonzero"] == before["current_nonzero"]
    assert after["compression_ratio"] > 5  # type: ignore[operator]
    assert after["dense_compression_ratio"] == 1
    pruner.apply_masks()
    assert pruner.stats() == after
    assert ModelPruner(seeded(LinearStack)).stats()["current_macs"] is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("name", CALLS)
def test_mixed_types_and_frozen_weights(name: str, dtype: torch.dtype) -> None:
    model = seeded(LinearStack).requires_grad_(False)
    model.get_submodule("layers.0").to(dtype)
    pruner = ModelPruner(model)
    CALLS[name](pruner)
    assert pruner.get_sparsity() == 0.5
    pruner.apply_masks()
    assert _weight(pruner.model, "layers.0.weight").dtype == dtype
    assert not any(parameter.requires_grad for parameter in pruner.model.parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_model_on_another_device_gets_the_same_masks() -> None:
    for call in CALLS.values():
        here, there = ModelPruner(seeded(ConvNet)), ModelPruner(seeded(ConvNet).cuda(), images(2)[0][0])
        call(here)
        call(there)
        assert _same_state(here.model, there.model.cpu())


ANYTHING: tuple[Any, ...] = ("half", "layer")
CULPRITS: dict[str, tuple[Callable[[ModelPruner], Any], type[Exception], str]] = {
    "share of one": (lambda p: p.magnitude_pruning(1.0), RecipeError, "sparsity is 1.0"),
    "true": (lambda p: p.random_pruning(True), RecipeError, "sparsity is True"),
    "text": (lambda p: p.magnitude_pruning(ANYTHING[0]), RecipeError, "sparsity is 'half'"),
    "scope": (lambda p: p.magnitude_pruning(0.5, scope=ANYTHING[1]), RecipeError, "unknown scope 'layer'"),
    "seed": (lambda p: p.random_pruning(0.5, seed=-1), RecipeError, "seed is -1"),
    "pattern": (lambda p: p.pattern_pruning(4, 2), RecipeError, "the pattern 4:2"),
    "norm": (lambda p: p.magnitude_pruning(0.5, include=("features.1",)), RecipeError, "'features.1' in include"),
    "unknown": (lambda p: p.pattern_pruning(include=("fc",)), RecipeError, "unknown module 'fc' in include"),
    "protected": (
        lambda p: p.random_pruning(0.5, include=("classifier",), protect=("classifier",)),
        RecipeError,
        "'classifier' stands in both",
    ),
    "all protected": (lambda p: p.magnitude_pruning(0.5, protect=("*",)), ModelError, "nothing is left to prune"),
}


@pytest.mark.parametrize("name", CULPRITS)
def test_a_mistake_ends_in_one_line_and_changes_nothing(name: str) -> None:
    call, kind, message = CULPRITS[name]
    pruner = ModelPruner(seeded(ConvNet))
    with pytest.raises(kind) as error:
        call(pruner)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
    assert _same_state(pruner.model, seeded(ConvNet))


@pytest.mark.parametrize("name", CALLS)
def test_a_weight_that_is_not_finite_stops_the_call_before_anything_changes(name: str) -> None:
    model = seeded(ConvNet)
    _weight(model, "features.3.weight")[0, 0, 0, 0] = torch.nan
    pruner = ModelPruner(model)
    with pytest.raises(ModelError, match=r"the weight 'features\.3\.weight' holds NaN"):
        CALLS[name](pruner)
    assert pruner.model.state_dict().keys() == model.state_dict().keys()
    pruner.magnitude_pruning(0.5, protect=("features.3",))


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
def test_what_is_no_model_with_values_is_refused() -> None:
    with pytest.raises(
        ModelError, match=r"^the model is a state dict; load it into a module \(load_state_dict\), and give that$"
    ):
        ModelPruner({"weight": torch.ones(2)})  # type: ignore[arg-type]
    with pytest.raises(
        ModelError,
        match=r"^the model is the class ConvNet; create an instance, and load its weights \(load_state_dict\)$",
    ):
        ModelPruner(ConvNet)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"^'weight' has no shape yet; run the model once$"):
        ModelPruner(nn.LazyLinear(3))
    with pytest.raises(ModelError, match=r"^'weight' is on the meta device and has no values"):
        ModelPruner(nn.Linear(3, 3, device="meta"))
    with pytest.raises(ModelError, match=r"^ConvNet does not run on example_inputs"):
        ModelPruner(seeded(ConvNet), torch.ones(1, 2))
    with pytest.raises(ModelError, match=r"^nothing in the model can be pruned"):
        ModelPruner(nn.ReLU()).magnitude_pruning(0.5)
    assert ModelPruner(nn.ReLU()).get_sparsity() == 0


def test_a_masked_model_can_be_given_to_another_pruner() -> None:
    first = ModelPruner(seeded(ConvNet))
    first.magnitude_pruning(0.3)
    state = copy.deepcopy(first.model.state_dict())
    second = ModelPruner(first.model)
    second.magnitude_pruning(0.6)
    second.apply_masks()
    assert first.model.state_dict().keys() == state.keys()
    assert first.get_sparsity() == pytest.approx(0.3, abs=1e-3)
    assert second.get_sparsity() == pytest.approx(0.6, abs=1e-3)
    assert first.model(images(1)[0][0]).shape == (1, 10)


def _by_position(group: UnitGroup, _generator: torch.Generator) -> Tensor:
    return torch.arange(group.units, 0, -1)


def test_a_function_may_decide_which_channels_go() -> None:
    """The last ones, by this function: what is left is the beginning of each weight."""
    pruner = ModelPruner(seeded(ConvNet), images(2)[0][0])
    pruner.structured_pruning(amount=0.5, importance=_by_position)
    kept = _weight(pruner.model, "features.0.weight")
    assert torch.equal(kept, _weight(seeded(ConvNet), "features.0.weight")[: len(kept)])
    assert len(kept) == 4


@pytest.mark.parametrize(
    ("importance", "told"),
    [
        (len, "criterion 'len' cannot be called with (group, generator); give a function of these"),
        (divmod, "criterion 'divmod' fails: unsupported operand"),
        ("slim", ", got 'slim' in 'importance'"),
        (3, "expected text, got 3 in 'importance'"),
        ("taylor", "criterion 'taylor' needs training data; give it (data), or importance='l2'"),
    ],
)
def test_what_is_no_criterion_is_told_and_changes_nothing(importance: Any, told: str) -> None:
    pruner = ModelPruner(seeded(ConvNet), images(2)[0][0])
    with pytest.raises(InputError) as caught:
        pruner.structured_pruning(importance=importance)
    assert told in str(caught.value)
    assert _same_state(pruner.model, seeded(ConvNet))


def test_a_warning_names_the_argument_that_gives_the_data() -> None:
    pruned = ModelPruner(seeded(ConvNet), torch.zeros(1, 3, 32, 32)).structured_pruning(amount=0.3)
    assert pruned.warnings == ("there is no training data (data): the pruned network is not trained to recover",)


def test_the_gradients_of_a_criterion_are_those_of_the_loss_that_is_given() -> None:
    def of_two_samples(outputs: Tensor, targets: list[str]) -> Tensor:
        seen.append(targets)
        return outputs.mean()

    seen: list[list[str]] = []
    image = images(2)[0][0]
    pruner = ModelPruner(seeded(ConvNet), image)
    result = pruner.structured_pruning(importance="taylor", data=[(image, ["a", "b"])], loss=of_two_samples)
    assert result.changes
    assert seen[-1] == ["a", "b"]


def test_a_loss_that_cannot_be_learned_by_changes_nothing() -> None:
    pruner = ModelPruner(seeded(ConvNet), images(2)[0][0])
    with pytest.raises(RecipeError, match=r"has no gradient; compute it from the outputs with PyTorch, without detach"):
        pruner.structured_pruning(importance="taylor", data=images(2), loss=lambda outputs, _: outputs.detach().sum())
    assert _same_state(pruner.model, seeded(ConvNet))


def test_a_loss_that_nothing_has_is_told_by_its_argument() -> None:
    pruner = ModelPruner(seeded(ConvNet), images(2)[0][0])
    with pytest.raises(RecipeError, match=r"got 'mze' in 'loss'; did you mean 'mse'\?"):
        pruner.structured_pruning(loss="mze")
