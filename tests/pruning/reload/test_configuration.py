"""The configurations of transformers' networks say what is true of them, and no more."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel

from edgecompress import ModelPruner, load_pruned
from edgecompress.pruning.reload.configuration import tell_configurations

SIZES: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 24, "vocab_size": 32}
TOKENS = {"input_ids": torch.arange(10).view(2, 5)}


def _llama() -> Any:
    return LlamaModel(LlamaConfig(intermediate_size=40, num_key_value_heads=2, use_cache=False, **SIZES)).eval()


def _bert() -> Any:
    return BertModel(BertConfig(intermediate_size=40, **SIZES)).eval()


def _outputs(network: Any) -> Any:
    with torch.no_grad():
        return network(**TOKENS).last_hidden_state


def _assert_comes_back(pruner: Any, fresh: Any, folder: Path) -> None:
    """From our file into an instance, and from the folder that transformers writes, by the configuration alone."""
    config = copy.deepcopy(fresh.config)
    pruner.save(folder / "file")
    loaded: Any = load_pruned(fresh, folder / "file")
    assert loaded.config.to_dict() == pruner.model.config.to_dict()
    assert fresh.config.to_dict() == config.to_dict()
    loaded.save_pretrained(folder / "own")
    again = type(fresh).from_pretrained(folder / "own")
    assert all(torch.equal(_outputs(each.eval()), _outputs(pruner.model)) for each in (loaded, again))


def test_a_width_of_all_layers_is_told(tmp_path: Path) -> None:
    pruner: Any = ModelPruner(_bert(), TOKENS)
    pruner.structured_pruning("filter", 0.5, protect=["encoder.layer.?.attention"], residual="keep")
    assert pruner.model.config.intermediate_size == 20
    _assert_comes_back(pruner, _bert(), tmp_path)


def test_heads_are_told_where_the_configuration_has_their_width(tmp_path: Path) -> None:
    pruner: Any = ModelPruner(_llama(), TOKENS)
    pruner.structured_pruning("filter", 0.5)
    told = pruner.model.config
    assert (told.num_attention_heads, told.num_key_value_heads) == (2, 1)
    assert (told.intermediate_size, told.hidden_size) == (20, 24)  # its output is the network's own
    _assert_comes_back(pruner, _llama(), tmp_path)


def _cut(layer: nn.Linear, outputs: int) -> None:
    layer.weight = nn.Parameter(layer.weight[:outputs].detach())
    layer.out_features = outputs


def test_a_width_that_differs_between_layers_is_not_told() -> None:
    before, after = _bert(), _bert()
    for number, width in enumerate((20, 30)):
        _cut(after.encoder.layer[number].intermediate.dense, width)
    tell_configurations(before, after)
    assert after.config.intermediate_size == 40


def test_heads_whose_width_follows_from_their_number_are_not_told() -> None:
    """Half of the heads of BERT: a network of two heads would have them twice as wide."""
    pruner: Any = ModelPruner(_bert(), TOKENS)
    pruner.structured_pruning("filter", 0.5, protect=["encoder.layer.?.intermediate"], residual="keep")
    assert pruner.model.encoder.layer[0].attention.self.query.out_features == 12
    assert pruner.model.config.num_attention_heads == 4


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.config, self.layer = BertConfig(intermediate_size=40), nn.Linear(3, 40)


def test_a_configuration_of_somebody_elses_class_is_left_alone() -> None:
    before, after = Own(), Own()
    _cut(after.layer, 20)
    tell_configurations(before, after)
    assert after.config.intermediate_size == 40
