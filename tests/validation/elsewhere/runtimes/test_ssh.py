"""A device over OpenSSH, on the loopback: what comes back, one line for whatever goes wrong, and nothing left there."""

from __future__ import annotations

import importlib
import platform
import shlex
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from edgecompress.data.batches import Batch
from edgecompress.errors import RecipeError
from edgecompress.recipe.device import Device
from edgecompress.runtime import to_bytes
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.cpus import emulated_python, find_cpu
from edgecompress.validation.elsewhere.place import Answer
from edgecompress.validation.elsewhere.places import find_places, prepare
from edgecompress.validation.elsewhere.results import Elsewhere, PlaceResult
from edgecompress.validation.elsewhere.runtimes.ssh import SshDevice, find_place
from edgecompress.validation.elsewhere.timed import TimingTask
from tests.exporters.graphs import draw, graph
from tests.heard import Heard
from tests.ssh_server import Server

HERE = shlex.quote(sys.executable)
NETWORK = to_bytes(graph("c = Conv(x, w) p = GlobalAveragePool(c) y = Flatten(p)", w=draw(6, 4, 3, 3)))
LARGE = to_bytes(graph("y = Pad(x, p)", p=np.array([0, 0, 0, 0, 0, 0, 400, 400], np.int64)))
BATCHES = [Batch(inputs={"x": draw(rows, 4, 8, 8, seed=rows)}, class_axis=1) for rows in (5, 3)]
TIMING = TimingTask(sample=BATCHES[0].slice(0, 1).inputs, runs=10, threads=1, original=NETWORK)
# The process that the server has for this login: the first sshd above the supervisor.
CUT = """
above() { cut -d ' ' -f 4 /proc/$1/stat; }
found=$PPID
while [ "$(cat /proc/$found/comm)" != sshd ]; do found=$(above $found); done
kill -KILL $found"""
OTHER = """
__version__ = "1.9.0"
class SessionOptions:
    def __init__(self): pass
def InferenceSession(*arguments, **named):
    raise RuntimeError("Unsupported model IR version: 10, max supported IR version: 8")
"""
# A package that stands for another: it is found in its own folder, and calls itself by its own version.
STANDS_FOR = """
import sys
sys.path.insert(0, {real!r})
del sys.modules[{name!r}]
import {name}
{name}.__version__ = "9.9.0"
sys.path.remove({real!r})
"""


def _prepared(device: Server, **settings: Any) -> SshDevice:
    place = find_place(device.url.removeprefix("ssh:"))
    return place.prepared(Device(**{"python": sys.executable, **settings}))


def _answer(device: Server, own: Path, model: bytes = NETWORK, **settings: Any) -> Answer:
    """What the device answers, as soon as nothing is left there."""
    place = _prepared(device, **settings)
    file = own / "own" / "model.onnx"
    file.parent.mkdir()
    file.write_bytes(model)
    answer = place.measure(file, [batch.inputs for batch in BATCHES], TIMING)
    assert device.is_clean()
    return answer


def _refusal(device: Server, **settings: Any) -> str:
    """Why the device is not used."""
    with pytest.raises(RecipeError) as caught:
        _prepared(device, **settings)
    assert device.is_clean()
    return str(caught.value)


def _during(device: Server, script: str) -> str:
    """A Python there that runs a shell script where it is to run the artifact."""
    return device.python("python", f'[ "$3" != run ] || {{ {script}\n}}\nexec {HERE} "$@"')


def _compare(device: Server, artifact: bytes = NETWORK, **settings: Any) -> PlaceResult:
    places = prepare(find_places([device.url]), Device(**{"python": sys.executable, **settings}))
    (result,) = compare_places(artifact, BATCHES[0], BATCHES, places, Heard(), timing=TIMING)
    assert device.is_clean()
    return result


def test_the_same_machine_gives_the_same_bits_and_its_figures(device: Server) -> None:
    result = _compare(device, threads=2, cores=[0])
    assert (result.place, result.samples, result.identical, result.failure) == (device.url, 8, True, None)
    assert (result.ran_on["onnxruntime"], result.agreement.top1_agreement) == (onnxruntime.__version__, 1.0)
    latency = result.entry["measured"]["latency_ms"]
    assert (latency["runs"], latency["threads"], latency["cores"]) == (10, 2, [0])
    assert 0 < latency["compressed"]["median"] <= latency["compressed"]["p99"]
    assert latency["ratio_interval_95"][0] <= latency["ratio"] <= latency["ratio_interval_95"][1]
    memory = result.entry["measured"]["memory_bytes"]
    assert memory["original"] >= 0 <= memory["compressed"]
    assert Elsewhere.of([result]).latencies["latency_ms"].value == latency["compressed"]["median"]


def test_without_timing_it_is_a_place_as_any_other(device: Server, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(NETWORK)
    answer = _prepared(device).run(tmp_path / "model.onnx", [BATCHES[0].inputs])
    assert (answer.failure, answer.measured, answer.outputs[0]["y"].shape) == (None, None, (5, 6))
    assert device.is_clean()


def test_an_emulated_arm_answers_as_under_the_emulator_alone(device: Server) -> None:
    try:
        line = shlex.join(emulated_python(find_cpu("cortex-a72")))
    except RecipeError as error:
        pytest.skip(f"{error}")
    result = _compare(device, python=device.python("arm python", f'exec {line} "$@"'))
    (emulated,) = compare_places(NETWORK, BATCHES[0], BATCHES, find_places(["qemu:cortex-a72"]), Heard())
    assert result.failure is None
    assert result.agreement.entry == emulated.agreement.entry
    assert result.ran_on["machine"] == "aarch64"


def test_paths_with_spaces_and_quotes_and_a_shell_that_talks(device: Server, tmp_path: Path) -> None:
    room = device.folder / "it's a folder"
    room.mkdir()
    device.login("echo 'Welcome to the board!'; printf 'no end of line'; echo; RUN")
    python = device.python('it\'s "my" $python', f'exec {HERE} "$@"')
    assert _answer(device, tmp_path, python=python, folder=str(room)).failure is None
    assert list(room.iterdir()) == []


def test_the_home_folder_there_is_that_of_the_user(device: Server, tmp_path: Path) -> None:
    device.python("python", f'exec {HERE} "$@"')
    (device.folder / "rooms").mkdir()
    device.login(f"export HOME={shlex.quote(str(device.folder))}; RUN")
    assert _answer(device, tmp_path, python="~/python", folder="~/rooms").failure is None
    assert list((device.folder / "rooms").iterdir()) == []


def test_what_is_killed_there_is_a_line(device: Server, tmp_path: Path) -> None:
    answer = _answer(device, tmp_path, python=_during(device, "kill -KILL $$"))
    assert answer.failure == "it was ended there by SIGKILL; it may have needed more memory than there is"


def test_where_the_supervisor_is_killed_a_line_says_so(device: Server, tmp_path: Path) -> None:
    failure = _answer(device, tmp_path, python=_during(device, "kill -KILL $PPID")).failure
    assert failure == f"the connection to {device.url} was lost; run it again"


def test_a_connection_that_is_lost_is_a_line(device: Server, tmp_path: Path) -> None:
    failure = _answer(device, tmp_path, python=_during(device, f"{CUT}; sleep 60")).failure
    assert failure is not None
    assert failure.startswith(f"the connection to {device.url} was lost")
    assert failure.endswith("; run it again")
    assert "\n" not in failure


@pytest.mark.parametrize(("model", "room"), [(NETWORK, "16k"), (LARGE, "4m")], ids=["files", "outputs"])
def test_a_full_disk_there_is_a_line(device: Server, tmp_path: Path, model: bytes, room: str) -> None:
    apart = ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("no namespaces")
    place = _prepared(device)
    mount = f'mount -t tmpfs -o size={room} tmpfs "$TMPDIR" && sh -c "$SSH_ORIGINAL_COMMAND"; ls "$TMPDIR" >&3'
    device.login(f"exec 3>{shlex.quote(str(tmp_path / 'left'))}; exec {shlex.join(apart)} sh -c {shlex.quote(mount)}")
    (tmp_path / "model.onnx").write_bytes(model)
    answer = place.measure(tmp_path / "model.onnx", [batch.inputs for batch in BATCHES], TIMING)
    why = f"folder {str(device.room)!r} there cannot be written: No space left on device; set device.folder to another"
    assert answer.failure == why
    assert (tmp_path / "left").read_text() == ""


def test_without_onnxruntime_there_a_line_says_what_to_do(device: Server) -> None:
    bare = device.python("python", f'exec {HERE} -S "$@"')
    assert _refusal(device, python=bare) == (
        f"{device.url} has no ONNX Runtime for {bare!r} (Python {platform.python_version()}): No module named 'numpy';"
        " install onnxruntime there, name another Python with device.python, or let the run bring it with"
        " device.onnxruntime=VERSION"
    )


def test_what_is_brought_along_is_run_and_removed(
    device: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "onnxruntime"):
        real = str(Path(importlib.import_module(name).__file__ or "").parent.parent)
        with zipfile.ZipFile(tmp_path / f"{name}-9.9.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", STANDS_FOR.format(real=real, name=name))
            wheel.writestr(f"{name}-9.9.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.9.0\n")
            wheel.writestr(f"{name}-9.9.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{name}-9.9.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    answer = _answer(device, tmp_path, python=device.python("python", f'exec {HERE} -S "$@"'), onnxruntime="9.9.0")
    assert answer.failure is None
    assert (answer.ran_on["numpy"], answer.ran_on["onnxruntime"]) == ("9.9.0", "9.9.0")
    assert answer.outputs[0]["y"].shape == (5, 6)


def test_another_onnxruntime_there_that_refuses_the_artifact_is_a_line(device: Server, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text(OTHER)
    device.login(f"export PYTHONPATH={shlex.quote(str(tmp_path))}; RUN")
    assert _answer(device, tmp_path).failure == (
        "ONNX Runtime 1.9.0 refuses the artifact: Unsupported model IR version: 10, max supported IR version: 8"
    )


def test_another_host_key_is_never_accepted(device: Server) -> None:
    port = device.url.rpartition(":")[2]
    other = (device.folder / "user.pub").read_text().split()[1]
    for known, told in (
        (f"[127.0.0.1]:{port} ssh-ed25519 {other}\n", "shows another host key than the one that is known"),
        ("", "shows a host key that is not known here"),
    ):
        device.forget(known)
        device.login("echo reached >reached; RUN")
        refusal = _refusal(device)
        assert refusal.startswith(f"{device.url} {told}")
        assert "\n" not in refusal
        assert (device.folder / "known").read_text() == known
        assert "Accepted" not in (device.folder / "log").read_text()


def test_where_no_key_fits_a_line_says_so(device: Server) -> None:
    (device.folder / "user.pub").write_text("")
    assert _refusal(device).startswith(f"{device.url} takes none of your keys; ssh-copy-id installs one, and ssh -p ")


def test_a_device_that_is_off_is_a_line(device: Server) -> None:
    place = find_place("//nobody@127.0.0.1:1")
    with pytest.raises(RecipeError) as caught:
        place.prepared(Device())
    assert str(caught.value) == (
        "ssh://nobody@127.0.0.1:1 cannot be reached: Connection refused; check the URL, and that the device is on"
    )


def test_a_python_that_is_not_there_is_a_line(device: Server) -> None:
    told = _refusal(device, python="/no such/python")
    assert told.startswith(f"{device.url} has no such Python: ")
    assert told.endswith("; set device.python to its path")


def test_a_folder_that_is_not_there_is_a_line(device: Server) -> None:
    assert _refusal(device, folder="/no such/folder") == (
        "folder '/no such/folder' there cannot be written: No such file or directory; set device.folder to another"
    )


def test_cores_that_are_not_there_are_a_line(device: Server, tmp_path: Path) -> None:
    failure = _answer(device, tmp_path, cores=[0, 100000]).failure
    assert failure is not None
    assert failure.startswith("device.cores names other cores than 0")


def test_a_shell_that_answers_something_else_is_a_line(device: Server) -> None:
    device.login("echo 'edgecompress answers'; echo 7; echo nonsense")
    assert _refusal(device) == f"{device.url} answers something else than was asked; look at its login shell"


def test_a_run_that_takes_too_long_is_a_line(device: Server, tmp_path: Path) -> None:
    place = replace(_prepared(device, python=_during(device, "sleep 60")), limit_s=1.0)
    (tmp_path / "model.onnx").write_bytes(NETWORK)
    answer = place.measure(tmp_path / "model.onnx", [batch.inputs for batch in BATCHES], TIMING)
    assert answer.failure == "not done there after 1 s"
    assert device.is_clean()


def test_a_name_that_is_no_url_is_a_line() -> None:
    with pytest.raises(RecipeError) as caught:
        find_places(["ssh:board"])
    form = "ssh://[user@]host[:port] or adb://SERIAL"
    assert str(caught.value) == f"expected {form}, got 'ssh:board' in '--device'; write {form}"
