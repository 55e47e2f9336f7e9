"""What each process of a small team finds out, for test_distributed.py; team_driver.py runs it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from infogan_tool.train.distributed import Team
from infogan_tool.train.normalising import TeamNorm, normalise_together
