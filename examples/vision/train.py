"""Trains the network and writes my_net.safetensors."""

from __future__ import annotations

import torch
from batches import training, validation
from nets import my_net
from safetensors.torch import save_file
from torch import nn

EPOCHS = 4


def main() -> None:
    """Train, save, and print the accuracy on digits that were not trained on."""
    torch.manual_seed(0)
    model, batches = my_net(), training()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, EPOCHS * len(batches))
    model.train()
    for epoch in range(EPOCHS):
        for row in torch.randperm(len(batches)).tolist():
            images, labels = batches[row]
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: {accuracy(model):.2f} %")
    save_file(model.state_dict(), "my_net.safetensors")


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """Top-1 on the validation batches, in percent."""
    model.eval()
    hits = torch.cat([model(images).argmax(1) == labels for images, labels in validation()])
    model.train()
    return 100 * hits.float().mean().item()


if __name__ == "__main__":
    main()
