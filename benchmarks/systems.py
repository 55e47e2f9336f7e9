"""The systems of docs/results/systems.md, as long as stated there: trained, exported, measured, drawn.

    python benchmarks/systems.py --out DIR [SYSTEM ...] [--device cuda] [--threads N]

Each system is a sweep (`infogan-tool sweep`) in a folder DIR/SYSTEM. Every seed then gets an
`evaluation-SEED.json` (`evaluate --json`), and the first one `report.html` and its figures as PNG. The same
command continues what was stopped, and does nothing twice. Prints a table of all systems that are complete.
`make systems` runs all of them: days on two CPU cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from side_by_side import documented_parser, environment, report

if TYPE_CHECKING:
    import argparse

TOOL = [sys.executable, "-m", "infogan_tool"]
SMALL = "--set networks.base_width=32 --set networks.full_width=256 --set schedule.batch_size=128"
"""The widths and batch of preset `compact`."""


@dataclass(frozen=True)
class System:
    """One training of the table."""

    name: str
    options: str
    """Of `train`."""
    seeds: str = "0"
    epochs: str | None = None
    """Of which the report shows images."""


SYSTEMS = (
    System("mlp", "--preset mlp"),
    System("cvae", "--preset cvae"),
    System("gan", f"--preset gan --epochs 25 {SMALL} --set augment.affine=0.5"),
    System("compact", "--preset compact --epochs 25", seeds="0-2"),
    System("shared", "--preset compact --epochs 25 --set objective.information_update=shared", seeds="0-2"),
    System(
        "separate_step",
        "--preset compact --epochs 25 --set objective.information_update=separate_step",
        seeds="0-2",
    ),
    System("upsample", "--preset upsample"),
    System("lab", "--preset lab", epochs="0,10,20,30,40,50,60,79"),
    System("paper", "--preset paper"),
)


def main() -> None:
    """Run what is missing and print the table."""
    parser = documented_parser(__doc__)
    names = [system.name for system in SYSTEMS]
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"of {', '.join(names)}; default: all")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, help="of each training; default: all cores")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--table", action="store_true", help="train nothing; print what is complete")
    options = parser.parse_args()
    if unknown := set(options.systems) - set(names):
        parser.error(f"no such system: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for system in SYSTEMS:
        if not options.table and (not options.systems or system.name in options.systems):
            run_system(system, options)
    rows = [row for system in SYSTEMS for row in table_rows(options.out / system.name)]
    report(rows, environment())


def run_system(system: System, options: argparse.Namespace) -> None:
    """Train, export, evaluate and draw a system, as far as that has not been done."""
    folder = options.out / system.name
    train = [*system.options.split(), "--set", "precision=auto", "--device", options.device]
    if options.threads:
        train += ["--threads", str(options.threads)]
    command = ["sweep", "--seeds", system.seeds, "--jobs", str(options.jobs), "--out", str(folder)]
    tool(*command, "--", *train)
    for bundle in sorted(folder.glob("bundle-*")):
        results = folder / f"evaluation-{bundle.name.removeprefix('bundle-')}.json"
        if not results.exists():
            partial = results.with_suffix(".part")
            with partial.open("w") as stream:
                tool("evaluate", str(bundle), "--json", stdout=stream)
            partial.rename(results)
    page = folder / "report.html"
    if not page.exists():
        epochs = ["--epochs", system.epochs] if system.epochs else []
        figures = ["--figures", str(folder / "figures")]
        tool("report", str(first_run(folder)), "--out", str(page), *figures, *epochs, "--force")


def tool(*arguments: str, stdout: Any = None) -> None:  # noqa: ANN401 - a stream
    """Run a command of infogan-tool; its messages are printed."""
    subprocess.run([*TOOL, *arguments], check=True, stdout=stdout or sys.stderr)  # noqa: S603


def first_run(folder: Path) -> Path:
    """Return the run of the lowest seed."""
    return min(folder.glob("seed-*/"), key=lambda run: int(run.name.removeprefix("seed-")))


def table_rows(folder: Path) -> list[dict[str, Any]]:
    """Return a row for each seed whose results exist."""
    seeds = sorted(path.stem.removeprefix("evaluation-") for path in folder.glob("evaluation-*.json"))
    return [{"system": folder.name, "seed": seed, **scores(folder, seed)} for seed in seeds]


def scores(folder: Path, seed: str) -> dict[str, str]:
    """Return the cells of one seed; `-` where the system has no such number."""
    results = json.loads((folder / f"evaluation-{seed}.json").read_text())
    category = results.get("encoder", {}).get("k1", {}).get("clustering", {})
    purity = results["generator"].get("purity", {}).get("k1", {})
    recovered = results["round_trip"].get("categorical", {}).get("k1", {})
    styles = results["round_trip"].get("continuous", {}).values()
    bounds = results["information"]["codes"].values()
    images = results["generator"]["distances"]
    last = last_metrics(folder / f"seed-{seed}" / "metrics.jsonl")
    return {
        "ACC": number(category.get("accuracy"), 4),
        "NMI": number(category.get("nmi"), 3),
        "purity": number(purity.get("purity"), 3),
        "category recovered; r of styles": "; ".join(
            [number(recovered.get("recovered"), 4), *(f"{style['pearson_r']:.3f}" for style in styles)]
        ),
        "L_I": "; ".join(f"{bound['lower_bound_nats']:.2f}" for bound in bounds),
        "Frechet; coverage": f"{images['frechet']:.1f}; {images['coverage']:.2f}",
        "D(real); D(fake) before, after G's update": "; ".join(
            number(last.get(f"Scores/{name}"), 2) for name in ("real", "fake_before_g", "fake_after_g")
        ),
    }


def last_metrics(path: Path) -> dict[str, Any]:
    """Return the last record of adversarial training, or nothing."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return next((record for record in reversed(records) if "Scores/real" in record), {})


def number(value: float | None, digits: int) -> str:
    """Return a number as text."""
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
