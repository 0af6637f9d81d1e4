"""A small BERT of transformers, built from a configuration: its weights are drawn, nothing is downloaded."""

from __future__ import annotations

import math

import torch
from reviews import LABELS, WORDS
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

LENGTH = 64
SPECIAL = ("[PAD]", "[CLS]", "[SEP]")
WIDTH = 256
LAYERS = 4


def classifier() -> nn.Module:
    """Takes ``input_ids`` and ``attention_mask``, int64 (rows, 64); returns ``logits`` (rows, 2)."""
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=LENGTH,
        num_labels=len(LABELS),
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.bert.embeddings.position_embeddings.weight.copy_(_sinusoids())
    return model


def _sinusoids() -> torch.Tensor:
    """Where positions start (Vaswani et al. 2017): what stands next to what is then learned in fewer steps."""
    place = torch.arange(LENGTH)[:, None]
    rate = torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(1000) / WIDTH))
    return 0.03 * torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=2).flatten(1)


def tokens(reviews: list[list[str]], length: int) -> dict[str, torch.Tensor]:
    """Reviews as the network takes them, filled up to a length."""
    numbers = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
    rows = [[numbers[word] for word in ("[CLS]", *words, "[SEP]")] for words in reviews]
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": (ids != 0).long()}
