"""The file of the self-test: one program, since the device has neither edgecompress nor a second file of ours."""

from __future__ import annotations

from importlib import resources

SELFTEST = "selftest.py"
TOP = "from __future__ import annotations\n"


def selftest_file() -> bytes:
    """The bytes of ``selftest.py``: the text of what it shares with edgecompress stands in place of its import."""
    package = resources.files("edgecompress")
    program = package.joinpath("bundle", "selftest.py").read_text("utf-8")
    shared = package.joinpath("metrics", "slices.py").read_text("utf-8").partition(TOP)[2]
    before, line, after = program.partition("from edgecompress.metrics.slices import ")
    assert line
    return (before + shared.strip("\n") + after.partition("\n")[2]).encode()
