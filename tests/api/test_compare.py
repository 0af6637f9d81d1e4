"""The folder of a comparison is called after the model."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgecompress
from edgecompress import OutputError
from edgecompress.runtime import Network
from tests.networks import ConvNet, images, seeded


@pytest.mark.parametrize(("model", "folder"), [(seeded(ConvNet), "convnet-compare"), ("nets.py:net", "net-compare")])
def test_rows_are_kept_in_a_folder_that_is_named_after_the_model(
    model: Network | str, folder: str, project: Path
) -> None:
    (project / folder).mkdir()
    (project / folder / "mine.txt").write_text("kept")
    with pytest.raises(OutputError, match=rf"^'{folder}' holds other things, 'mine\.txt' for one;"):
        edgecompress.compare(model, calibration=images())
