"""Time of a whole command, compared with the import of the library that it needs.

    python benchmarks/cold_start.py [--rounds 15] [--json FILE]

Whole processes, one after the other in turn, with bytecode compiled: `encode` of one image against `python -c
"import onnxruntime"`, `--help` and `--version` against `python -c "import typer"`, and, where torch is
installed, a training of one step against `python -c "import torch"`. The result is the ratio of the medians.
It measures the interpreter that it is run with, so run it with that of an ordinary installation: an editable
one pays for its import hook in every process, the variants' too.
"""

from __future__ import annotations

import compileall
import contextlib
import importlib.util
import io
import sys
import sysconfig
import tempfile
from functools import partial
from pathlib import Path
from statistics import median

from side_by_side import alternate, arguments, environment, report, run_process

IMAGE = Path(__file__).parent.parent / "examples" / "one.png"
RACES = (
    (("encode", str(IMAGE)), "import onnxruntime", 1.6),
    (("--help",), "import typer", 1.5),
    (("--version",), "import typer", 1.5),
    (("train", "--preset", "mlp", "--steps", "1", "--device", "cpu", "--out", "RUN"), "import torch", 1.5),
)
"""Commands, in which RUN is a folder that does not exist; what each is compared with; and the goal."""


def main() -> None:
    """Run the races and print the table."""
    options = arguments(__doc__).parse_args()
    machine = environment()
    _compile()
    tool = str(Path(sysconfig.get_path("scripts")) / "infogan-tool")
    rows = []
    for given, code, reach in RACES:
        if not importlib.util.find_spec(code.removeprefix("import ")):
            continue
        seconds = alternate(
            {
                "tool": partial(run_command, tool, given),
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
    report(rows, machine, options.json)


def run_command(tool: str, given: tuple[str, ...]) -> None:
    """Run a command of infogan-tool in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        run_process(tool, *(str(Path(folder) / word) if word == "RUN" else word for word in given))


def _compile() -> None:
    """Compile what is imported, as pip does when it installs."""
    import infogan_tool.cli  # noqa: PLC0415
    import infogan_tool.runtime  # noqa: PLC0415
    import infogan_tool.train  # noqa: PLC0415

    packages = infogan_tool.cli, infogan_tool.runtime, infogan_tool.train
    ours = [Path(p) for package in packages for p in package.__path__]
    ours += [Path(p) for p in infogan_tool.__path__]
    site = Path(sysconfig.get_path("purelib"))
    with contextlib.redirect_stdout(io.StringIO()):
        for name in ("numpy", "PIL", "onnxruntime", "typer", "rich", "click", "annotated_doc", "shellingham"):
            compileall.compile_dir(site / name, quiet=2)
        for folder in ours:
            compileall.compile_dir(folder, quiet=2)


if __name__ == "__main__":
    main()
