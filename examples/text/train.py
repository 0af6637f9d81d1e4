"""Trains the classifier and writes classifier.safetensors."""

from __future__ import annotations

import random

import torch
from batches import validation
from nets import classifier, tokens
from reviews import review
from safetensors.torch import save_file
from torch import nn

STEPS = 500
ROWS = 32
LEARNING_RATE = 5e-4
SHOWN = 50


def main() -> None:
    """Train on new reviews in each step, save, and print the accuracy on others."""
    torch.manual_seed(0)
    model, draw = classifier(), random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS, pct_start=0.1)
    model.train()
    for step in range(STEPS):
        words, labels = zip(*(review(draw) for _ in range(ROWS)), strict=True)
        inputs = tokens(list(words), 2 + max(map(len, words)))
        loss = nn.functional.cross_entropy(model(**inputs).logits, torch.tensor(labels))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % SHOWN == SHOWN - 1:
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)
    save_file(model.state_dict(), "classifier.safetensors")
    print(f"accuracy: {accuracy(model):.2f} %")


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """Top-1 on the validation batches, in percent."""
    model.eval()
    hits = torch.cat([model(**inputs).logits.argmax(1) == labels for inputs, labels in validation()])
    return 100 * hits.float().mean().item()


if __name__ == "__main__":
    main()
