"""Networks with seeded random weights, as transformers builds them: what they cost is real, what they answer is not.

All keep the weights that transformers draws. In MobileNetV2 these let the signal fade to 1e-21, as no trained network
does; a second one has convolutions that are Kaiming normal (fan in, which keeps the signal as it is) and PyTorch's
default for its linear layer. Batch norms keep the statistics that they start with. The outputs of such networks differ
little between images: an SQNR tells of the arithmetic, and says nothing about accuracy.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

SIDE = 224


class Logits(nn.Module):
    """A classifier of transformers as a network with one input and one output."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.classifier(image).logits
        return logits


def images(count: int, seed: int) -> Tensor:
    """Normal images (count, 3, 224, 224), the same for the same seed."""
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def resnet50() -> nn.Module:
    """ResNet-50, 25.6 million parameters, 1,000 classes."""
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    return Logits(ResNetForImageClassification(ResNetConfig(num_labels=1000))).eval()


def mobilenet_v2() -> nn.Module:
    """MobileNetV2, 3.5 million parameters, 1,000 classes."""
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    torch.manual_seed(0)
    return Logits(MobileNetV2ForImageClassification(MobileNetV2Config(num_labels=1000))).eval()


def mobilenet_v2_kaiming() -> nn.Module:
    """MobileNetV2 with fresh weights that let the signal through."""
    network = mobilenet_v2()
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_in", nonlinearity="relu")
        elif isinstance(part, nn.Linear):
            part.reset_parameters()
    return network


def vit_tiny() -> nn.Module:
    """ViT-tiny: 12 layers, width 192, 3 heads, patches of 16 pixels, 1,000 classes."""
    from transformers import ViTConfig, ViTForImageClassification

    torch.manual_seed(0)
    shape = ViTConfig(
        hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768, num_labels=1000
    )
    return Logits(ViTForImageClassification(shape)).eval()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v2_kaiming": mobilenet_v2_kaiming,
    "vit_tiny": vit_tiny,
}
