"""A process that torchrun starts: ``infogan-tool``, with a fault in the first start; see group_driver.py.

torchrun ... group_worker.py FAULT ARGUMENTS
"""

from __future__ import annotations

import json
import os
import sys

from group_driver import install

from infogan_tool.cli.main import main

if __name__ == "__main__":
    fault = json.loads(sys.argv[1])
    if os.environ["RANK"] == str(fault.get("rank")) and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        install(fault)
    sys.exit(main(sys.argv[2:]))
