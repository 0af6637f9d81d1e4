"""A page with a section for each network: printed as they come, and written where it is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from edgecompress.bundle.outcome import cpu_here


def write_page(description: str | None, names: Sequence[str], section: Callable[[str, int], str]) -> None:
    """Run the networks that the command line names, all by default.

    Args:
        description: of the command.
        names: the networks that there are.
        section: the section of a network by its name, from so many interleaved runs.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--networks", nargs="*", choices=names, default=list(names))
    parser.add_argument("--output", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    parts = [f"CPU: {cpu_here()}, one thread, {asked.runs} interleaved runs."]
    for name in asked.networks:
        parts.append(section(name, asked.runs))
        print(parts[-1], flush=True)
    if asked.output is not None:
        asked.output.write_text("\n\n".join(parts) + "\n")
