"""Time of a whole command, compared with the import of the library that it needs.

    python benchmarks/cold_start.py [--rounds 15] [--json FILE]

Whole processes, one after the other in turn, with bytecode compiled: `encode` of one image against `python -c
"import onnxruntime"`, `--help` and `--version` against `python -c "import typer"`. The result is the ratio of
the medians. It measures the interpreter that it is run with, so run it with that of an ordinary installation:
an editable one pays for its import hook in every process, the variants' too.
"""

from __future__ import annotations

import compileall
import contextlib
import io
import sys
import sysconfig
from functools import partial
from pathlib import Path

from side_by_side import alternate, arguments, environment, median, report, run_process

IMAGE = Path(__file__).parent.parent / "examples" / "one.png"
RACES = (
    (("encode", str(IMAGE)), "import onnxruntime", 1.6),
    (("--help",), "import typer", 1.5),
    (("--version",), "import typer", 1.5),
)


def main() -> None:
    """Run the races and print the table."""
    options = arguments(__doc__).parse_args()
    machine = environment()
    _compile()
    tool = str(Path(sysconfig.get_path("scripts")) / "infogan-tool")
    rows = []
    for given, code, reach in RACES:
        seconds = alternate(
            {
                "tool": partial(run_process, tool, *given),
                "bare": partial(run_process, sys.executable, "-c", code),
            },
            options.rounds,
        )
        ours, theirs = median(seconds["tool"]), median(seconds["bare"])
        rows.append(
            {
                "command": f"infogan-tool {' '.join(Path(word).name for word in given)}",
                "ms": round(1000 * ours),
                "against": f'python -c "{code}"',
                "its ms": round(1000 * theirs),
                "ratio": ours / theirs,
                "of the fastest": min(seconds["tool"]) / min(seconds["bare"]),
                "reach": f"<= {reach}",
            }
        )
    report(rows, list(rows[0]), machine, options.json)


def _compile() -> None:
    """Compile what is imported, as pip does when it installs."""
    import infogan_tool.cli  # noqa: PLC0415
    import infogan_tool.runtime  # noqa: PLC0415

    ours = [Path(p) for package in (infogan_tool.cli, infogan_tool.runtime) for p in package.__path__]
    ours += [Path(p) for p in infogan_tool.__path__]
    site = Path(sysconfig.get_path("purelib"))
    with contextlib.redirect_stdout(io.StringIO()):
        for name in ("numpy", "PIL", "onnxruntime", "typer", "rich", "click", "annotated_doc", "shellingham"):
            compileall.compile_dir(site / name, quiet=2)
        for folder in ours:
            compileall.compile_dir(folder, quiet=2)


if __name__ == "__main__":
    main()
