"""What the cores of a device are called: Arm's tell a number in the place of a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ARM = "0x41"
PARTS = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2",
    "0xd49": "Neoverse-N2",
    "0xd4d": "Cortex-A715",
    "0xd4e": "Cortex-X3",
    "0xd80": "Cortex-A520",
    "0xd81": "Cortex-A720",
}
"""Main ID register, part number -> name, from the technical reference manuals."""


def cpu_name(lines: Mapping[str, Sequence[str]]) -> str:
    """The CPU by what /proc/cpuinfo says of its cores; empty where it says nothing.

    >>> cpu_name({"CPU implementer": ["0x41"], "CPU part": ["0xd05", "0xd0b"]})
    'Cortex-A55 and Cortex-A76'
    >>> cpu_name({"model name": ["Intel(R) N100"]})
    'Intel(R) N100'
    >>> cpu_name({"CPU implementer": ["0x51"], "CPU part": ["0x802"]})
    'implementer 0x51, part 0x802'
    """
    makers, parts = lines.get("CPU implementer", []), lines.get("CPU part", [])
    if list(makers) == [ARM] and all(part in PARTS for part in parts) and parts:
        return " and ".join(PARTS[part] for part in parts)
    if lines.get("model name"):
        return " and ".join(lines["model name"])
    return f"implementer {', '.join(makers)}, part {', '.join(parts)}" if makers else ""
