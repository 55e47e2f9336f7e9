"""After `coverage combine`: lines and branches of each package, and every line that is missing.

Ends with 1 where a package reaches less of its lines than docs/explanation/reliability.md promises.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import coverage

GOALS = {"runtime": 95, "train": 90, "export": 95, "cli": 95}


def main() -> int:
    """Print, and return the exit code."""
    measured = coverage.Coverage()
    measured.load()
    measured.report(file=sys.stdout)
    json_file = Path("build/coverage/coverage.json")
    json_file.parent.mkdir(parents=True, exist_ok=True)
    measured.json_report(outfile=str(json_file))
    files = json.loads(json_file.read_text())["files"]
    table, low = io.StringIO(), False
    for package, goal in GOALS.items():
        found = [f["summary"] for name, f in files.items() if name.split("/")[0] == package]
        lines, hit = (sum(f[key] for f in found) for key in ("num_statements", "covered_lines"))
        branches, taken = (sum(f[key] for f in found) for key in ("num_branches", "covered_branches"))
        share = 100 * hit / max(lines, 1)
        low |= share < goal
        print(
            f"{package:<8} lines {share:5.1f} % of {lines} (goal {goal} %), "
            f"branches {100 * taken / max(branches, 1):5.1f} % of {branches}",
            file=table,
        )
    print(table.getvalue())
    return int(low)


if __name__ == "__main__":
    sys.exit(main())
