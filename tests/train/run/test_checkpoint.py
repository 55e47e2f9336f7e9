"""Files that are no checkpoints of this version are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from infogan_tool.runtime.errors import RunError
from infogan_tool.train.run.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("content", [b"", b"\x80\x04K*.", b"PK\x03\x04" + b"\0" * 100, b"\xff" * 200])
def test_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.safetensors"
    path.write_bytes(content)
    with pytest.raises(RunError, match="cannot be read as a checkpoint") as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)


def test_checkpoint_of_another_schema_or_tool_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(RunError, match="not a checkpoint of infogan-tool"):
        read_checkpoint(path)
    save_file({"a": torch.zeros(1)}, path, {"infogan.checkpoint": '{"schema_version": 99}'})
    with pytest.raises(RunError, match="schema 99; this version reads 2"):
        read_checkpoint(path)
    save_file({"a": torch.zeros(1)}, path, {"infogan.checkpoint": '{"schema_version": 2, "step": 3}'})
    with pytest.raises(RunError, match="cannot be read"):
        read_checkpoint(path)
