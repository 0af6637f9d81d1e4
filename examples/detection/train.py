"""Trains the detector and writes detector.safetensors."""

from __future__ import annotations

import torch
from batches import training, validation
from boxes import postprocess
from losses import detection_loss
from nets import detector
from safetensors.torch import save_file
from torch import nn

from edgecompress.metrics.built_in.map import make

EPOCHS = 10


def main() -> None:
    """Train, save, and print the mean average precision on scenes that were not trained on."""
    torch.manual_seed(0)
    model, batches = detector(), training()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, EPOCHS * len(batches))
    model.train()
    for epoch in range(EPOCHS):
        for row in torch.randperm(len(batches)).tolist():
            pictures, targets = batches[row]
            loss = detection_loss(model(pictures), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}", flush=True)
    save_file(model.state_dict(), "detector.safetensors")
    print(f"mAP: {mean_average_precision(model):.2f} %")


@torch.no_grad()
def mean_average_precision(model: nn.Module) -> float:
    """COCO's, over overlaps of 50 to 95 %, on the validation batches, in percent."""
    model.eval()
    metric = make()
    for pictures, targets in validation():
        outputs = {name: values.numpy() for name, values in model(pictures).items()}
        metric.update(postprocess(outputs), targets)
    return metric.compute()


if __name__ == "__main__":
    main()
