"""Networks over sequences: transformers, a mixer, recurrence, tied weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaModel,
    ViTConfig,
    ViTForImageClassification,
)

from tests.pruning.zoo.entry import Entry, Inputs, images, tokens

VOCABULARY = 20


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(12), nn.LayerNorm(12), nn.LayerNorm(12)
        self.tokens = nn.Sequential(nn.Linear(16, 10), nn.GELU(), nn.Linear(10, 16))
        self.channels = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.head = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm1(x).mT).mT
        x = x + self.channels(self.norm2(x))
        return self.head(self.norm3(x).mean(1))


class Attention(nn.Module):
    """Heads that share keys and values, from one fused projection."""

    def __init__(self, width: int, heads: int, shared: int, head: int, *, expands: bool) -> None:
        super().__init__()
        self.heads, self.shared, self.head, self.expands = heads, shared, head, expands
        self.qkv = nn.Linear(width, (heads + 2 * shared) * head, bias=False)
        self.out = nn.Linear(heads * head, width, bias=False)

    def forward(self, x: Tensor) -> Any:
        batch, length, _ = x.shape
        sizes = [self.heads * self.head, self.shared * self.head, self.shared * self.head]
        q, k, v = self.qkv(x).split(sizes, dim=-1)
        q = q.view(batch, length, self.heads, self.head).transpose(1, 2)
        k, v = (each.view(batch, length, self.shared, self.head).transpose(1, 2) for each in (k, v))
        k, v = self._repeat(k), self._repeat(v)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(batch, length, -1))

    def _repeat(self, x: Tensor) -> Tensor:
        batch, shared, length, head = x.shape
        times = self.heads // self.shared
        if not self.expands:
            return x.repeat_interleave(times, 1)
        return x[:, :, None].expand(batch, shared, times, length, head).reshape(batch, shared * times, length, head)


class GatedMLP(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_up, self.down = nn.Linear(width, 2 * hidden, bias=False), nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Any:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(functional.silu(gate) * up)


class DecoderLayer(nn.Module):
    def __init__(self, *, expands: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(16), nn.RMSNorm(16)
        self.attention, self.mlp = Attention(16, 4, 2, 6, expands=expands), GatedMLP(16, 24)

    def forward(self, x: Tensor) -> Any:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Decoder(nn.Module):
    """The output projection is the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 16)
        self.layers = nn.Sequential(DecoderLayer(expands=True), DecoderLayer(expands=False))
        self.norm = nn.RMSNorm(16)
        self.head = nn.Linear(16, VOCABULARY, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Any:
        return self.head(self.norm(self.layers(self.embedding(x))))


class Llama(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = LlamaModel(
            LlamaConfig(
                vocab_size=VOCABULARY,
                hidden_size=24,
                intermediate_size=40,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                max_position_embeddings=32,
            )
        )
        self.head = nn.Linear(24, VOCABULARY)

    def forward(self, input_ids: Tensor) -> Any:
        return self.head(self.model(input_ids=input_ids, use_cache=False).last_hidden_state)


class Logits(nn.Module):
    """A classifier of transformers that returns a tensor."""

    def __init__(self, model: nn.Module, argument: str) -> None:
        super().__init__()
        self.model, self.argument = model, argument

    def forward(self, x: Tensor) -> Any:
        return self.model(**{self.argument: x}).logits


_SIZES: dict[str, Any] = {
    "hidden_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 30,
    "num_labels": 5,
}


def vit() -> nn.Module:
    return Logits(ViTForImageClassification(ViTConfig(image_size=16, patch_size=8, **_SIZES)), "pixel_values")


def bert() -> nn.Module:
    return BertForSequenceClassification(BertConfig(vocab_size=VOCABULARY, max_position_embeddings=16, **_SIZES))  # type: ignore[no-any-return]


def _sentences() -> Inputs:
    return {
        "input_ids": torch.randint(0, VOCABULARY, (2, 7)),
        "attention_mask": torch.tensor([[1] * 7, [1] * 5 + [0] * 2]),
    }


class Encoder(nn.Module):
    """PyTorch's own transformer, whose attention insists on heads that fill the model's width."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(6, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        return self.head(self.encoder(self.embedding(x)).mean(1))


class CrossAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.Linear(6, 12), nn.Linear(12, 16)
        self.attention = nn.MultiheadAttention(16, 4, kdim=12, vdim=12, batch_first=True)
        self.queries = nn.Parameter(torch.randn(1, 3, 16))
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        memory = functional.relu(self.before(x))
        queries = self.queries + self.after(memory).mean(1, keepdim=True)
        return self.head(self.attention(queries, memory, memory, need_weights=False)[0].mean(1))


class LSTMClassifier(nn.Module):
    """A recurrent layer is left whole; the layers behind it are not."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 8)
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.hidden, self.head = nn.Linear(12, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Any:
        states, _ = self.lstm(self.embedding(x))
        return self.head(functional.relu(self.hidden(states[:, -1])))


class TiedLayers(nn.Module):
    """Two layers with one weight, whose inputs and outputs are therefore the same channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(6, 12), nn.Linear(12, 12), nn.Linear(12, 12)
        self.third.weight = self.second.weight
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Any:
        return self.head(torch.relu(self.third(torch.relu(self.second(torch.relu(self.first(x)))))))


def _layers(heads: str, hidden: str, units: int) -> dict[str, int]:
    """Four heads and the hidden layer of each of two layers of a transformer."""
    return {name.format(index): count for index in (0, 1) for name, count in ((heads, 4), (hidden, units))}


_VIT, _BERT = "model.vit.layers.{}", "bert.encoder.layer.{}"

ENTRIES = {
    "mixer": Entry(
        build=Mixer,
        draw=images(2, 3, 16, 16),
        groups={"patches": 12, "tokens.0": 10, "channels.0": 24},
        whole=("head",),
    ),
    # two heads of queries share each head of keys and values: they leave together
    "decoder": Entry(
        build=Decoder,
        draw=tokens(VOCABULARY, 2, 6),
        groups={
            "layers.0.attention.out": 16,
            **{f"layers.{index}.attention.qkv": 2 for index in (0, 1)},
            **{f"layers.{index}.mlp.gate_up": 24 for index in (0, 1)},
        },
        whole=("embedding",),
    ),
    "llama": Entry(
        build=Llama,
        draw=tokens(VOCABULARY, 2, 6),
        groups={
            "model.layers.0.self_attn.o_proj": 24,
            **{f"model.layers.{index}.self_attn.q_proj": 2 for index in (0, 1)},
            **{f"model.layers.{index}.mlp.gate_proj": 40 for index in (0, 1)},
        },
        whole=("head",),
    ),
    "vit": Entry(
        build=vit,
        draw=images(2, 3, 16, 16),
        groups={
            "model.vit.embeddings.patch_embeddings.projection": 20,
            **_layers(f"{_VIT}.attention.q_proj", f"{_VIT}.mlp.fc1", 30),
        },
        whole=("model.classifier",),
    ),
    "bert": Entry(
        build=bert,
        draw=_sentences,
        groups={
            "bert.encoder.layer.0.attention.output.dense": 20,
            "bert.pooler.dense": 20,
            **_layers(f"{_BERT}.attention.self.query", f"{_BERT}.intermediate.dense", 30),
        },
        whole=("classifier",),
    ),
    "encoder": Entry(
        build=Encoder,
        draw=images(2, 5, 6),
        groups={"embedding": 16, **_layers("encoder.layers.{}.self_attn", "encoder.layers.{}.linear1", 24)},
        whole=("head",),
    ),
    "cross_attention": Entry(
        build=CrossAttention,
        draw=images(2, 5, 6),
        groups={"before": 12, "after": 16, "attention": 4, "attention.out_proj": 16},
        whole=("head",),
    ),
    "lstm": Entry(
        build=LSTMClassifier, draw=tokens(VOCABULARY, 2, 6), groups={"hidden": 16}, whole=("lstm", "embedding", "head")
    ),
    "tied_layers": Entry(build=TiedLayers, draw=images(2, 6), groups={"first": 12}, whole=("head",)),
}
