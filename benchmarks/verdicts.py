"""Whether benchmark's verdicts can be believed: python -m benchmarks.verdicts [--repeats 20] [--runs 100]

ResNet-20 of the example, as float ONNX, against itself, and against a copy in which one of its 19 convolutions is twice
as wide (the outputs stay the same). Prints how often each verdict fell, and the ratios between which it did.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn

from benchmarks.main_job import EXAMPLE
from edgecompress.data.batches import Batch
from edgecompress.loading.models import load_model
from edgecompress.pipeline.fold import convert
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import to_bytes
from edgecompress.techniques.context import Context
from edgecompress.timing.benchmark import benchmark
from edgecompress.timing.ratios import Ratio

IMAGE = torch.zeros(1, 3, 32, 32)


def widened(block: nn.Module) -> None:
    """Double the channels between the two convolutions of a basic block; what it computes stays the same."""
    first, norm, second = block.conv1, block.bn1, block.conv2
    assert isinstance(first, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(second, nn.Conv2d)
    first.weight, first.out_channels = nn.Parameter(_twice(first.weight)), 2 * first.out_channels
    norm.weight, norm.bias = nn.Parameter(_twice(norm.weight)), nn.Parameter(_twice(norm.bias))
    norm.running_mean, norm.running_var = (
        _twice(each) for each in (norm.running_mean, norm.running_var) if each is not None
    )
    norm.num_features = first.out_channels
    second.weight = nn.Parameter(torch.cat([second.weight, second.weight], 1) / 2)
    second.in_channels = first.out_channels


def _twice(tensor: Tensor) -> Tensor:
    return torch.cat([tensor, tensor])


def write(network: nn.Module, path: Path) -> Path:
    """A network as the float ONNX file that ``compress`` measures against."""
    example = Batch(inputs={"x": IMAGE.numpy()})
    path.write_bytes(to_bytes(convert(network, Context(recipe=Recipe(), example=example)).artifact))
    return path


def verdicts(first: Path, second: Path, repeats: int, runs: int) -> list[Ratio]:
    """The second file against the first, so many times, with one thread."""
    rows = (benchmark([first, second], threads=1, runs=runs, progress=Progress()) for _ in range(repeats))
    return [row.ratio for _, row in rows]


def summary(name: str, ratios: Sequence[Ratio]) -> str:
    """One line: the verdicts, the range of the ratios and their median, and the median resolution.

    >>> summary("itself", [Ratio(value=1.0, low=1 / 1.02, high=1.02)])
    'itself: no difference 1 of 1; ratios 1.000 to 1.000, median 1.000; resolution 2.0 %'
    """
    counts = Counter(ratio.verdict for ratio in ratios)
    shown = ", ".join(f"{verdict} {count} of {len(ratios)}" for verdict, count in counts.most_common())
    values = sorted(ratio.value for ratio in ratios)
    resolution = median(ratio.resolution for ratio in ratios)
    spread = f"{values[0]:.3f} to {values[-1]:.3f}, median {median(values):.3f}"
    return f"{name}: {shown}; ratios {spread}; resolution {100 * resolution:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--runs", type=int, default=100)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    sys.path.insert(0, str(EXAMPLE))
    network = load_model("models:resnet20", str(EXAMPLE / "weights" / "resnet20.safetensors"))
    assert isinstance(network, nn.Module)
    wide = copy.deepcopy(network)
    widened(wide.get_submodule("layer2.1"))
    with tempfile.TemporaryDirectory(prefix="edgecompress-") as folder:
        files = [write(each.eval(), Path(folder, name)) for name, each in (("net.onnx", network), ("wide.onnx", wide))]
        for name, file in zip(("itself", "one convolution twice as wide"), files, strict=True):
            print(summary(name, verdicts(files[0], file, asked.repeats, asked.runs)), flush=True)


if __name__ == "__main__":
    main()
