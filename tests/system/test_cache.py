"""A bounded folder of entries: whole or not there, for several processes, and never in the way of the work."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgecompress.errors import OutputError
from edgecompress.system.cache import DIGEST_BYTES, VARIABLE, Cache, cache_folder

WRITE = """
import sys
from pathlib import Path
from edgecompress.system.cache import Cache
import hashlib
cache = Cache(Path(sys.argv[1]), print)
for number in range(int(sys.argv[2])):
    content = str(number % 40).encode() * 500
    key = hashlib.sha256(content).hexdigest()
    found = cache.read(key)
    assert found in (None, content), "half an entry"
    cache.write(key, content)
    if not number:
        print("begun", flush=True)
"""


def _key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _cache(folder: Path) -> Cache:
    return Cache(folder, _none)


def _none(line: str) -> None:
    raise AssertionError(line)


def test_what_was_kept_is_found_in_every_process_and_nothing_else_is(tmp_path: Path) -> None:
    _cache(tmp_path / "new" / "cache").write(_key("a"), b"some")
    again = _cache(tmp_path / "new" / "cache")
    assert again.read(_key("a")) == b"some"
    assert again.read(_key("b")) is None
    assert again.usage().entries == 1
    assert again.usage().size_bytes == DIGEST_BYTES + 4


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    cache = _cache(tmp_path / "none")
    assert cache.read(_key("a")) is None
    assert cache.usage().entries == 0
    cache.clear()
    assert not cache.folder.exists()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_entry_is_removed_and_made_anew(tmp_path: Path, at: int, byte: int, cut: bool) -> None:
    cache, content = _cache(tmp_path), bytes(range(200))
    cache.write(_key("a"), content)
    path = tmp_path / _key("a")
    whole = path.read_bytes()
    place = at % len(whole)
    path.write_bytes(whole[:place] if cut else whole[:place] + bytes([byte]) + whole[place + 1 :])
    changed = path.read_bytes() != whole
    assert cache.read(_key("a")) == (None if changed else content)
    assert path.exists() != changed
    cache.write(_key("a"), content)
    assert cache.read(_key("a")) == content


def test_those_that_were_not_used_for_longest_go(tmp_path: Path) -> None:
    cache = _cache(tmp_path)
    cache.set_limit(3 * (DIGEST_BYTES + 100))
    for age, name in enumerate("abc"):
        cache.write(_key(name), bytes(100))
        os.utime(tmp_path / _key(name), ns=(age, age))
    assert cache.read(_key("a")) == bytes(100)  # now it was used last
    cache.write(_key("d"), bytes(100))
    assert [name for name in "abcd" if cache.read(_key(name)) is not None] == ["a", "c", "d"]
    assert cache.usage().size_bytes == cache.usage().limit_bytes


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(0, 3000), sizes=st.lists(st.integers(0, 1500), max_size=12))
def test_it_stays_under_its_limit(tmp_path: Path, limit: int, sizes: list[int]) -> None:
    cache = _cache(tmp_path)
    cache.set_limit(limit)
    for number, size in enumerate(sizes):
        content = bytes(size)
        cache.write(_key(str(number)), content)
        assert cache.usage().size_bytes <= limit
        assert cache.read(_key(str(number))) == (content if size + DIGEST_BYTES <= limit else None)


def test_a_smaller_limit_holds_at_once(tmp_path: Path) -> None:
    cache = _cache(tmp_path)
    for name in "abc":
        cache.write(_key(name), bytes(100))
    cache.set_limit(DIGEST_BYTES + 100)
    assert cache.usage().entries == 1
    cache.clear()
    assert (cache.usage().entries, cache.usage().limit_bytes) == (0, DIGEST_BYTES + 100)


def test_what_a_killed_process_left_goes_and_what_others_put_there_stays(tmp_path: Path) -> None:
    left, other = tmp_path / f".{_key('a')}.partial", tmp_path / "mine.txt"
    left.write_bytes(b"half")
    other.write_bytes(b"mine")
    cache = _cache(tmp_path)
    cache.write(_key("b"), b"")
    cache.clear()
    assert not left.exists()
    assert other.read_bytes() == b"mine"


def test_several_processes_share_it(tmp_path: Path) -> None:
    _cache(tmp_path).set_limit(20_000)
    others = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path), "120"], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [other.communicate()[0] for other in others] == ["begun\n"] * 3
    assert [other.returncode for other in others] == [0] * 3
    assert 0 < _cache(tmp_path).usage().size_bytes <= 20_000
    assert not [*tmp_path.glob(".*")]


def test_a_process_that_is_killed_leaves_no_half_entry(tmp_path: Path) -> None:
    for seed in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITE, str(tmp_path), "100000"], stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "begun\n"
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(random.Random(seed).uniform(0.05, 0.2))
            other.kill()
    contents = {hashlib.sha256(content).hexdigest(): content for content in (str(n).encode() * 500 for n in range(40))}
    cache = _cache(tmp_path)
    assert all(cache.read(key) in (None, content) for key, content in contents.items())
    assert cache.usage().entries > 0
    cache.write(_key("last"), b"")
    assert not [*tmp_path.glob(".*")]


def test_one_that_cannot_be_written_is_told_once_and_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    told: list[str] = []
    cache = Cache(tmp_path / "file" / "cache", told.append)
    for name in "ab":
        cache.write(_key(name), b"some")
        assert cache.read(_key(name)) is None
    assert told == [
        f"nothing is kept for the next run: the cache in {str(tmp_path / 'file' / 'cache')!r} cannot be written:"
        f" Not a directory; set {VARIABLE} to another folder"
    ]


def test_a_change_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    def told(folder: str, reason: str) -> str:
        place = str(tmp_path / folder)
        return (
            f"the cache in {place!r} cannot be changed: {reason}; make it writable, or set {VARIABLE} to another folder"
        )

    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError) as limited:
        _cache(tmp_path / "file").set_limit(5)
    assert str(limited.value) == told("file", "File exists")
    cache = _cache(tmp_path / "cache")
    cache.write(_key("a"), b"")
    (cache.folder / "lock").unlink()
    (cache.folder / "lock").mkdir()
    with pytest.raises(OutputError) as cleared:
        cache.clear()
    assert str(cleared.value) == told("cache", "Is a directory")


@pytest.mark.parametrize("what", ["a file", "a link to itself"])
def test_what_is_no_folder_is_neither_shown_nor_cleared(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    if what == "a file":
        folder.write_bytes(b"")
    else:
        folder.symlink_to(folder)
    reason = "Not a directory" if what == "a file" else "Too many levels of symbolic links"
    with pytest.raises(OutputError) as shown:
        _cache(folder).usage()
    assert str(shown.value) == (
        f"the cache in {str(folder)!r} cannot be read: {reason}; make it a folder that you may read, or set {VARIABLE}"
        " to another one"
    )
    with pytest.raises(OutputError, match=rf"cannot be changed: {reason}; make it writable"):
        _cache(folder).clear()


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "edgecompress" / "steps"
