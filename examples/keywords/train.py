"""Trains the keyword spotter and writes spotter.safetensors."""

from __future__ import annotations

import torch
from batches import training, validation
from nets import spotter
from safetensors.torch import save_file
from torch import nn

EPOCHS = 8


def main() -> None:
    """Train, save, and print the accuracy on recordings that were not trained on."""
    torch.manual_seed(0)
    model, batches = spotter(), training()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, EPOCHS * len(batches))
    model.train()
    for epoch in range(EPOCHS):
        for row in torch.randperm(len(batches)).tolist():
            features, labels = batches[row]
            loss = nn.functional.cross_entropy(model(features), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)
    save_file(model.state_dict(), "spotter.safetensors")
    print(f"accuracy: {accuracy(model):.2f} %")


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """Top-1 on the validation batches, in percent."""
    model.eval()
    hits = torch.cat([model(features).argmax(1) == labels for features, labels in validation()])
    return 100 * hits.float().mean().item()


if __name__ == "__main__":
    main()
