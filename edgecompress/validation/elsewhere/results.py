"""What running at other places gave: a result for each, and what manifests, tables and budgets make of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from edgecompress.metrics.agreement import Agreement, share_of
from edgecompress.metrics.bootstrap import Interval
from edgecompress.recipe.budgets import Budgets
from edgecompress.validation.budgets import MEASURES
from edgecompress.validation.elsewhere.judged import JudgedMetric
from edgecompress.validation.elsewhere.measured import DecidingFigure, DeviceFigures, deciding
from edgecompress.validation.elsewhere.place import RunNode
from edgecompress.validation.elsewhere.places import BROWSER, EMULATOR, label_of, runtime_of
from edgecompress.validation.elsewhere.segments import segments_of, share_of_macs

Entry = Mapping[str, Any]
TIMED = "timed"
"""The outcome at a place that gives no outputs: what agrees there is not known."""
LIMITS = {"cpus": "min_cpu_agreement", "browser": "min_browser_agreement", "runtimes": "min_runtime_agreement"}
"""Key of a manifest -> the budget that bounds how many samples agree at its places."""


@dataclass(frozen=True, kw_only=True)
class PlaceResult:
    """The artifact's outputs at one place against those on this machine.

    Attributes:
        place: its name.
        samples: that were run.
        installed: whether there was all that it needs.
        compared: whether there are outputs from there; a place that only measures gives none.
        identical: whether the outputs are the same bit for bit.
        agreement: with those on this machine.
        ran_on: what it ran on, name -> version or model.
        nodes: that ran there, in their order; none where the place does not tell.
        unit: that is meant to run them.
        metric: of the answers there, here, and of the float model; None where the samples have no labels.
        files: that were made of the artifact for the place, by name.
        failure: why there are no outputs, in one line.
        measured: times and memory there; None where the place does not measure.
    """

    place: str
    samples: int
    installed: bool = True
    compared: bool = True
    identical: bool = False
    agreement: Agreement = field(default_factory=Agreement)
    ran_on: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[RunNode, ...] = ()
    unit: str = "CPU"
    metric: JudgedMetric | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    failure: str | None = None
    measured: DeviceFigures | None = None

    @property
    def entry(self) -> dict[str, Any]:
        """The same as plain data, for JSON; no figures where nothing ran."""
        ran = self.failure is None
        done = "ran" if self.compared else TIMED
        return {
            "outcome": done if ran else "failed" if self.installed else "not installed",
            "identical": self.identical if self.compared else None,
            **(self.agreement.entry if ran and self.compared else dict.fromkeys(Agreement().entry)),
            "lost": list(self.agreement.lost()),
            "samples": self.samples,
            "ran_on": dict(self.ran_on),
            "unit": self.unit,
            "metric": None if self.metric is None else self.metric.entry,
            "files": list(self.files),
            "nodes": summary_of(self.nodes),
            "failure": self.failure,
            **({} if self.measured is None else {"measured": self.measured.entry}),
        }


def summary_of(nodes: Sequence[RunNode]) -> dict[str, Any] | None:
    """Nodes as manifests hold them: how many ran, and in integers, by unit and precision.

    By name are those that another unit left to the CPU, each with the reason, and those in floats. ``shares`` are those
    of the units in the multiply-accumulates, ``segments`` the nodes in their order.

    >>> summary_of([RunNode(name="a", operator="Conv", unit="CPU", precision="u8")])
    {'ran': 1, 'integer': 1, 'units': {'CPU': 1}, 'refused': {}, 'precisions': {'u8': 1}, 'float': [], 'shares': {}, \
'segments': [{'unit': 'CPU', 'nodes': 1, 'macs': None, 'first': 'a', 'last': 'a'}]}
    """
    if not nodes:
        return None
    units = dict(Counter(node.unit for node in nodes))
    left = [node for node in nodes if node.unit == "CPU" and len(units) > 1]
    return {
        "ran": len(nodes),
        "integer": sum(node.integer for node in nodes),
        "units": units,
        "refused": {f"{node.name} ({node.operator})": node.why for node in left},
        "precisions": dict(Counter(node.precision for node in nodes)),
        "float": [f"{node.name} ({node.operator})" for node in nodes if not node.integer],
        "shares": {unit: share for unit in units if (share := share_of_macs(nodes, unit)) is not None},
        "segments": [segment.entry for segment in segments_of(nodes)],
    }


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """All results as manifests hold them.

    Attributes:
        cpus: by the name of the emulated CPU.
        browser: that of the browser; empty where none was asked.
        runtimes: of all other places, by their names.
    """

    cpus: Mapping[str, Entry] = field(default_factory=dict)
    browser: Entry = field(default_factory=dict)
    runtimes: Mapping[str, Entry] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Iterable[PlaceResult]) -> Self:
        """The results of a run."""
        entries = {result.place: result.entry for result in results}
        own = {name: entry for name, entry in entries.items() if runtime_of(name) in (EMULATOR, BROWSER)}
        emulated = {label_of(name): entry for name, entry in own.items() if name != BROWSER}
        return cls(
            cpus={cpu: _flat(entry, "onnxruntime", without=("outcome",)) for cpu, entry in emulated.items()},
            browser=_flat(own[BROWSER], "browser", "onnxruntime_web") if BROWSER in own else {},
            runtimes={name: entry for name, entry in entries.items() if name not in own},
        )

    @property
    def groups(self) -> dict[str, Mapping[str, Entry]]:
        """The entries by their name at the place, for each key of a manifest."""
        browser = {BROWSER: self.browser} if self.browser else {}
        return {"cpus": self.cpus, "browser": browser, "runtimes": self.runtimes}

    @property
    def agreements(self) -> dict[str, float | None]:
        """For each measure of :data:`LIMITS` the least share of samples that agree; None where nothing was compared.

        Where the artifact fails, nothing agrees. What is not installed is not measured.

        >>> Elsewhere(cpus={"haswell": {"top1_agreement": None, "failure": "it crashed"}}).agreements["cpu_agreement"]
        0.0
        """
        shares = {group: map(_share, entries.values()) for group, entries in self.groups.items()}
        return {
            MEASURES[LIMITS[group]][0]: min((share for share in found if share is not None), default=None)
            for group, found in shares.items()
        }

    @property
    def placement(self) -> dict[str, float | None]:
        """How many nodes devices left to the CPU, the most, and the least share of their multiply-accumulates.

        None where no runtime has another unit than the CPU, or it does not tell. What fails there does nothing there.

        >>> Elsewhere(runtimes={"qnn": {"unit": "NPU", "outcome": "failed", "nodes": None}}).placement
        {'cpu_nodes': None, 'npu_share': 0.0}
        """
        entries = [entry for entry in self.runtimes.values() if entry.get("unit", "CPU") != "CPU"]
        told = [entry["nodes"]["units"] for entry in entries if entry["nodes"]]
        shares = [share for entry in entries if (share := _done_there(entry)) is not None]
        return {
            "cpu_nodes": max((float(units.get("CPU", 0)) for units in told), default=None),
            "npu_share": min(shares, default=None),
        }

    @property
    def latencies(self) -> dict[str, DecidingFigure]:
        """What devices measured, by the measure of latency that it decides."""
        return deciding(self.runtimes)

    @property
    def intervals(self) -> dict[str, Interval]:
        """Between which values these lie at 95 %; where that is not known, there is no interval."""
        return {name: figure.interval for name, figure in self.latencies.items() if figure.interval is not None}

    def strict(self, budgets: Budgets) -> Budgets:
        """Whoever asks for other places and sets no limit means that no answer may change.

        That is not asked of places that only measure.
        """
        answering = {
            group: [entry for entry in entries.values() if entry.get("outcome") != TIMED]
            for group, entries in self.groups.items()
        }
        tried = [LIMITS[group] for group, entries in answering.items() if entries]
        return budgets.model_copy(update={limit: 1.0 for limit in tried if getattr(budgets, limit) is None})

    def with_sources(self, sources: Mapping[str, str]) -> dict[str, Any]:
        """The keys of a manifest, each entry with its ``source``."""
        groups = {
            key: {name: {**entry, "source": sources[key]} for name, entry in entries.items()}
            for key, entries in self.groups.items()
        }
        return {**groups, "browser": groups["browser"].get(BROWSER, {})}

    def replaced_by(self, newer: Elsewhere) -> Elsewhere:
        """These results, with all of a key by what is newer, where that has any."""
        tried = {key: entries for key, entries in vars(newer).items() if entries}
        return replace(self, **tried)


def _done_there(entry: Entry) -> float | None:
    """The share of multiply-accumulates that the unit of a runtime does; None where it is not known."""
    if entry["outcome"] == "failed":
        return 0.0
    shares = entry["nodes"]["shares"] if entry["nodes"] else {}
    return shares.get(entry["unit"], 0.0) if shares else None


def _share(entry: Entry) -> float | None:
    failed = entry.get("outcome", "failed" if entry.get("failure") else "ran") == "failed"
    return 0.0 if failed else share_of(entry)


def _flat(entry: Entry, *names: str, without: Sequence[str] = ()) -> Entry:
    """An entry with the names of what it ran on among the other keys, as manifests always had those."""
    rest = {
        key: value
        for key, value in entry.items()
        if key not in ("ran_on", "nodes", "unit", "files", "metric", *without)
    }
    return rest | {name: entry["ran_on"].get(name) or None for name in names}
