"""INT8 compared with other quantizers, on trained and on seeded networks: python -m benchmarks.int8

Prints one Markdown table for each network, and with ``--output`` writes them as a page. Each quantizer runs in
a process of its own; one that is missing or fails is a row that says so. The example is found through
EDGECOMPRESS_EXAMPLE, the peers come with ``pip install 'edgecompress[bench]'``.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.int8_table import failed_section, page, section
from benchmarks.measures import Effort, measure
from benchmarks.quantizers import CANDIDATES, Quantized, Tool, run_candidate
from benchmarks.subjects import Subject, prepare, subjects
from edgecompress.errors import RecipeError
from edgecompress.validation.elsewhere.places import NamedPlace, emulated, find_places
from edgecompress.validation.elsewhere.runtimes.qemu import Emulator

PEERS = ("ort", "nncf", "openvino", "onnxsim")
OURS: Mapping[Tool, tuple[str, ...]] = {
    "edgecompress": (),
    "edgecompress_openvino": ("openvino",),
    "openvino_float": ("openvino",),
}
"""Tools that are no peers, each with the peers that it needs."""
EMULATION_LIMIT_S = 300.0
"""For one file; those with float convolutions take many times longer than integer ones."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.int8", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=list(subjects()), default=list(subjects()))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="none: only ours")
    parser.add_argument(
        "--quantizers", nargs="+", metavar="TEXT", default=[""], help="those with such a text in their name"
    )
    parser.add_argument("--haswell", action="store_true", help="emulate one, on 100 images; on 8 for seeded networks")
    parser.add_argument("--runs", type=int, default=100, help="timed runs of each file")
    parser.add_argument("--memory-gb", type=float, default=12.0, help="what one quantizer may allocate")
    parser.add_argument("--folder", type=Path, help="where the ONNX files stay; by default they do not")
    parser.add_argument("--output", type=Path, help="Markdown file to write")
    return parser.parse_args(arguments)


def haswell() -> NamedPlace | None:
    """A Haswell, where an emulator is at hand."""
    try:
        (named,) = find_places(emulated(["haswell"]))
    except RecipeError as error:
        print(f"warning: {error}", file=sys.stderr)
        return None
    assert isinstance(named.place, Emulator)
    return replace(named, place=replace(named.place, limit_s=EMULATION_LIMIT_S))


def _takes_part(tool: Tool, peers: Sequence[str]) -> bool:
    return tool in peers or (tool in OURS and set(OURS[tool]) <= {*peers})


def run(subject: Subject, folder: Path, options: argparse.Namespace, place: NamedPlace | None) -> str:
    """The section of one network."""
    prepared = prepare(subject, folder)
    tried: list[Quantized] = []
    for number, candidate in enumerate(CANDIDATES):
        asked = any(text in candidate.name for text in options.quantizers)
        if asked and subject.kind in candidate.kinds and _takes_part(candidate.tool, options.peers):
            print(f"{subject.title}: {candidate.name}", file=sys.stderr, flush=True)
            tried.append(run_candidate(number, folder, int(options.memory_gb * 1e9)))
    good = [each for each in tried if each.failure is None]
    files = [prepared.float_file, *(each.file for each in good)]
    effort = Effort(runs=options.runs, place=place, images=subject.emulated_images)
    original, *rest = measure(files, prepared.evaluation, effort)
    found = dict(zip((each.candidate.name for each in good), rest, strict=True))
    return section(subject.title, original, [(each, found.get(each.candidate.name)) for each in tried])


def main(arguments: Sequence[str]) -> None:
    """Run every network and print or write the page."""
    options = parse(arguments)
    place = haswell() if options.haswell else None
    sections = []
    with tempfile.TemporaryDirectory(prefix="edgecompress-") as scratch:
        for name in options.models:
            folder = (options.folder or Path(scratch)) / name
            folder.mkdir(parents=True)
            subject = subjects()[name]
            try:
                sections.append(run(subject, folder, options, place))
            except Exception as error:
                sections.append(failed_section(subject.title, f"{type(error).__name__}: {error}"))
            print(sections[-1], end="\n\n", flush=True)
    if options.output is not None:
        command = shlex.join(["python", "-m", "benchmarks.int8", *arguments])
        options.output.write_text(page(command, sections))


if __name__ == "__main__":
    main(sys.argv[1:])
