"""What each process of a small team finds out, for test_distributed.py; team_driver.py runs it."""

from __future__ import annotations
