"""Trains the U-Net and writes unet.safetensors."""

from __future__ import annotations

import torch
from batches import training, validation
from nets import unet
from safetensors.torch import save_file
from scenes import CLASSES
from torch import nn

EPOCHS = 10


def main() -> None:
    """Train, save, and print the mean intersection over union on scenes that were not trained on."""
    torch.manual_seed(0)
    model, batches = unet(), training()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, EPOCHS * len(batches))
    model.train()
    for epoch in range(EPOCHS):
        for row in torch.randperm(len(batches)).tolist():
            pictures, masks = batches[row]
            loss = nn.functional.cross_entropy(model(pictures), masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)
    save_file(model.state_dict(), "unet.safetensors")
    print(f"mIoU: {mean_iou(model):.2f} %")


@torch.no_grad()
def mean_iou(model: nn.Module) -> float:
    """Mean intersection over union of the classes on the validation batches, in percent."""
    model.eval()
    both = torch.zeros(len(CLASSES), len(CLASSES))
    for pictures, masks in validation():
        pairs = masks * len(CLASSES) + model(pictures).argmax(1)
        both += torch.bincount(pairs.flatten(), minlength=both.numel()).view_as(both)
    shared = both.diag()
    return 100 * (shared / (both.sum(0) + both.sum(1) - shared)).mean().item()


if __name__ == "__main__":
    main()
