"""The bytes of a pruned network: every one of them counts."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from edgecompress.errors import ModelError
from edgecompress.pruning.reload.pruned_file import KEY, is_pruned_file, pruned_file, read_stored, read_values


def _content() -> bytes:
    torch.manual_seed(0)
    return pruned_file(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))


def _metadata(content: bytes) -> dict[str, object]:
    length = int.from_bytes(content[:8], "little")
    document: dict[str, object] = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])
    return document


def _refusal(content: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        read_stored("file", io.BytesIO(content))
    return str(caught.value)


def test_what_is_written_is_read() -> None:
    stored = read_stored("file", io.BytesIO(_content()))
    values = read_values("file", io.BytesIO(_content()))
    assert stored.shapes == {name: tuple(value.shape) for name, value in values.items()}
    assert stored.shapes["0.weight"] == (2, 3)
    assert stored.floating == values.keys() - {"1.num_batches_tracked"}
    assert stored.blueprint.sizes["1"]["num_features"] == 2


@pytest.mark.parametrize("flip", [1, 2, 16, 128])
def test_no_byte_can_be_another(flip: int) -> None:
    content = _content()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= flip
        assert _refusal(bytes(changed)).startswith("'file' ")


def test_no_byte_can_be_missing_or_added() -> None:
    content = _content()
    for end in range(len(content)):
        assert _refusal(content[:end])
    assert _refusal(content + b"\0")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"version": 2}, "has format version 2, this program reads 1; update it"),
        ({"version": 0}, "was changed"),
        ({"version": True}, "was changed"),
        ({"digest": "0" * 64}, "was changed"),
        ({"blueprint": "{}"}, "was changed"),
        ({"blueprint": None}, "was changed"),
    ],
)
def test_other_metadata_are_refused(document: dict[str, object], words: str) -> None:
    content = _content()
    changed = json.dumps({**_metadata(content), **document})
    assert words in _refusal(save(load(content), {KEY: changed}))


@pytest.mark.parametrize("text", ["", "[]", "1", "[" * 100_000, '{"version": 1}'])
def test_metadata_that_are_no_document_are_refused(text: str) -> None:
    assert "was changed" in _refusal(save(load(_content()), {KEY: text}))


def test_values_that_do_not_lie_as_they_should_are_refused() -> None:
    with pytest.raises(ModelError, match=r"^'file' is no safetensors file: .*; save it again$"):
        read_values("file", io.BytesIO(_content()[:-1]))


def test_a_header_that_claims_the_memory_of_the_machine_is_not_read() -> None:
    assert "no safetensors file" in _refusal((2**62).to_bytes(8, "little") + b"{}")


def test_it_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "network.pt"
    path.write_bytes(_content())
    assert is_pruned_file(path)
    path.write_bytes(save(load(_content())))
    assert not is_pruned_file(path)
    assert not is_pruned_file(tmp_path)
    assert not is_pruned_file(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    assert not is_pruned_file(tmp_path / "pipe")
