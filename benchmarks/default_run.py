"""Time, memory and accuracy of a whole default run, next to preset `paper` given the same time.

    python benchmarks/default_run.py --out /some/empty/folder [--seed 0]

Both are trained by the command line in a process of their own, one after the other, on every core; `paper` is
stopped (it saves) when it has had as long as the default run took. Then both are exported, which measures the
encoder on the real test images. Prints one Markdown table, with machine and versions.
"""

from __future__ import annotations

import json
from pathlib import Path

from side_by_side import documented_parser, environment, report, run_tool


def accuracy(run: Path, bundle: Path) -> float:
    """Export a run; return its encoder's accuracy on the real test images."""
    run_tool("export", str(run), "--out", str(bundle))
    metadata = json.loads((bundle / "metadata.json").read_text())
    return float(metadata["card"]["accuracy"]["test"])


def main() -> None:
    """Run both and print the table."""
    parser = documented_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", default="0")
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True)
    machine, rows, limit = environment(), [], None
    for preset in ("mnist", "paper"):
        run = out / preset
        arguments = ("train", "--preset", preset, "--seed", options.seed, "--out", str(run))
        seconds, memory = run_tool(*arguments, limit=limit)
        limit = limit or seconds
        steps = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"]
        rows.append(
            {
                "preset": preset,
                "minutes": f"{seconds / 60:.1f}",
                "peak memory, GB": memory / 1024,
                "steps": steps,
                "accuracy on the test images": f"{accuracy(run, out / f'{preset}-bundle'):.4f}",
            }
        )
    report(rows, machine)


if __name__ == "__main__":
    main()
