"""Change one thing at a time in a module, and see whether its tests notice (cosmic-ray does the changing).

    python tests/mutation/mutate.py [NAME ...] [--reach 0.85] [--sample 300]

Each NAME of modules.toml is changed in a copy of the sources under build/mutation, never here. A run that was
stopped goes on where it was; a module or a test that has changed begins anew. Survivors are listed with their
lines in build/mutation/NAME.txt. The command ends with 1 where less than ``--reach`` was noticed.

With ``--sample`` only so many changes of each module are judged, drawn at random and always the same.
Not counted: changes inside type annotations and under `if TYPE_CHECKING`, which nothing evaluates.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "mutation"
COPIED = ("cli", "examples", "export", "runtime", "src", "tests", "train", "typings", "pyproject.toml")
SECONDS = 60.0
"""A test that takes longer has noticed: something does not end."""


Place = tuple[int, int]
"""Line and column."""


@dataclass(frozen=True)
class Score:
    """What came of the changes of one module."""

    killed: int
    survivors: list[str]

    @property
    def share(self) -> float:
        """Share of the changes that were noticed."""
        return self.killed / max(1, self.killed + len(self.survivors))


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = tomllib.loads((Path(__file__).parent / "modules.toml").read_text())
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*known, []], help=", ".join(known))
    parser.add_argument("--reach", type=float, default=0.85)
    parser.add_argument("--sample", type=int, metavar="N")
    options = parser.parse_args()
    low = False
    for name in options.names or known:
        score = mutate(name, known[name]["module"], known[name]["tests"], options.sample)
        (BUILD / f"{name}.txt").write_text("".join(f"{line}\n" for line in score.survivors))
        low |= score.share < options.reach
        total = score.killed + len(score.survivors)
        said = f"{score.killed} of {total} changes noticed ({100 * score.share:.1f} %)"
        print(f"{known[name]['module']}: {said}", flush=True)
        for line in score.survivors:
            print(f"  {line}", flush=True)
    return int(low)


def mutate(name: str, module: str, tests: list[str], sample: int | None = None) -> Score:
    """Change a module in every way, or in ``sample`` of them, in a copy of its own."""
    contents = b"".join((ROOT / file).read_bytes() for file in [module, *tests])
    digest = hashlib.sha256(contents).hexdigest()[:16]
    copy = BUILD / (f"{name}-{digest}" if sample is None else f"{name}-{digest}-{sample}")
    session = copy / "session.sqlite"
    environment = os.environ | {
        "PYTHONPATH": str(copy / "typings"),
        "PYTHONDONTWRITEBYTECODE": "1",  # a changed file may have the same size and second as the one before
        "OMP_NUM_THREADS": "1",
    }
    config = copy / "cosmic-ray.toml"
    if not session.exists():
        shutil.rmtree(copy, ignore_errors=True)
        make_copy(copy, module)
        config.write_text(
            f'[cosmic-ray]\nmodule-path = "{module}"\ntimeout = {SECONDS}\nexcluded-modules = []\n'
            'test-command = "false"\n[cosmic-ray.distributor]\nname = "local"\n'  # judge.py does that
        )
        where = f"import infogan_tool.runtime as r; assert r.__file__.startswith({str(copy)!r}), r.__file__"
        check([sys.executable, "-c", where], copy, environment)
        check([*cosmic_ray("init"), str(config), "new.sqlite"], copy, environment)
        (copy / "new.sqlite").rename(session)
        leave_out(session, copy / module, sample)
    shutil.copy(ROOT / module, copy / module)  # a run that was stopped may have left a change in it
    judge = [sys.executable, str(Path(__file__).with_name("judge.py")), str(session), module, str(SECONDS)]
    check([*judge, *tests], copy, environment)
    return score(session, copy / module)


def cosmic_ray(command: str) -> list[str]:
    return [str(Path(sys.executable).with_name("cosmic-ray")), command]


def check(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def make_copy(copy: Path, module: str) -> None:
    """Copy what the tests need and compile all but the module; the links of typings/ lead into the copy."""
    copy.mkdir(parents=True)
    skip = shutil.ignore_patterns("__pycache__", "node_modules", "*.egg-info")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=skip)
        else:
            shutil.copy(ROOT / name, copy / name)
    compileall.compile_dir(copy, rx=re.compile(re.escape(str(copy / module))), quiet=2)


def leave_out(session: Path, module: Path, sample: int | None) -> None:
    """Take out the changes that change nothing, and all but ``sample`` of the others."""
    unread = never_evaluated(module.read_text())
    with use_db(session, WorkDB.Mode.open) as database:
        items = sorted(database.work_items, key=lambda item: str(item.mutations))
        skipped = [item.job_id for item in items if within(item.mutations[0].start_pos, unread)]
        left = [item.job_id for item in items if item.job_id not in skipped]
        if sample is not None:
            skipped += random.Random(0).sample(left, max(0, len(left) - sample))
        database.set_multiple_results(skipped, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))


def never_evaluated(source: str) -> list[tuple[Place, Place]]:
    """Return where annotations (of a module that postpones them) and blocks for checkers begin and end."""
    assert "from __future__ import annotations" in source
    found: list[ast.expr | ast.stmt | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.AnnAssign, ast.arg)):
            found.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            found.append(node.returns)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            found.append(node)
    return [((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0)) for n in found if n]


def within(place: Place, parts: list[tuple[Place, Place]]) -> bool:
    return any(first <= tuple(place) < last for first, last in parts)


def score(session: Path, module: Path) -> Score:
    """Return what came of it."""
    lines = module.read_text().splitlines()
    killed, survivors = 0, []
    with use_db(session, WorkDB.Mode.open) as database:
        results = dict(database.results)
        for item in database.work_items:
            (mutation,) = item.mutations
            if results[item.job_id].worker_outcome == WorkerOutcome.SKIPPED:
                continue
            if results[item.job_id].test_outcome == TestOutcome.SURVIVED:
                row = mutation.start_pos[0]
                what = mutation.operator_name.removeprefix("core/")
                survivors.append(f"{row}: {what}: {lines[row - 1].strip()}")
            else:
                killed += 1
    return Score(killed, sorted(survivors, key=lambda line: int(line.split(":")[0])))


if __name__ == "__main__":
    sys.exit(main())
