"""``infogan-tool doctor``: a check of the installation."""

import platform
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import typer

from infogan_tool import __version__
from infogan_tool.cli import output
from infogan_tool.cli.extras import EXTRA_MODULES
from infogan_tool.cli.options import BundleArgument, HiddenBundleOption, JsonOption, one_bundle
from infogan_tool.runtime.errors import ExitCode, InfoganError
from infogan_tool.runtime.storage.atomic import printable

_KEY_WIDTH: Final = 12
_LIBRARIES: Final = ("numpy", "pillow", "typer", "rich")


def doctor(
    bundle: BundleArgument = None,
    *,
    bundle_option: HiddenBundleOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the installation: versions, onnxruntime, GPU, extras, and a test run.

    The test run generates and encodes images with a bundle on each device. Each
    problem is printed with its fix; the exit code is then 1.
    """
    from infogan_tool.runtime.inference.device import gpu_names, gpu_present
    from infogan_tool.runtime.inference.environment import installed

    problems: list[dict[str, Any]] = []
    report: dict[str, Any] = {
        "infogan_tool": __version__,
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        **installed(_LIBRARIES),
        "onnxruntime": _onnxruntime(problems),
        "gpu": {"visible": gpu_present(), "names": gpu_names()},
        "missing_modules": {
            extra: [name for name in names if find_spec(name) is None]
            for extra, names in EXTRA_MODULES.items()
        },
        "bundle": _bundle(one_bundle(bundle, bundle_option), problems),
    }
    report |= {"problems": problems, "ok": not problems}
    if as_json:
        output.emit(output.json_line(report))
    else:
        _show(report)
    if problems:
        raise typer.Exit(ExitCode.FAILURE)


def _onnxruntime(problems: list[dict[str, Any]]) -> dict[str, Any]:
    from infogan_tool.runtime.inference.environment import ONNXRUNTIME_PACKAGES, installed, suggested_fix
    from infogan_tool.runtime.inference.session import available_providers, onnxruntime_version

    packages = installed(ONNXRUNTIME_PACKAGES)
    fix = suggested_fix(packages)
    found: dict[str, Any] = {"packages": packages, "version": None, "built_for": []}
    if len(packages) > 1:
        problem = f"{' and '.join(packages)} are both installed and overwrite each other's files"
        problems.append({"problem": problem, "fix": fix})
    try:
        found |= {"version": onnxruntime_version(), "built_for": available_providers()}
    except InfoganError as error:
        problems.append({"problem": str(error), "fix": fix})
    return found


def _bundle(path: Path | None, problems: list[dict[str, Any]]) -> dict[str, Any]:
    from infogan_tool.runtime import load_bundle
    from infogan_tool.runtime.bundle.self_check import self_check
    from infogan_tool.runtime.inference.device import gpu_present

    found: dict[str, Any] = {"path": None if path is None else str(path), "runs": {}}
    try:
        opened = load_bundle(path)
    except InfoganError as error:
        problems.append({"problem": str(error), "fix": []})
        return found
    found |= {"path": str(opened.path), "id": opened.metadata.bundle_id}
    for device in ("cpu", "cuda") if gpu_present() else ("cpu",):
        try:
            check = self_check(load_bundle(path, device=device))
        except InfoganError as error:
            found["runs"][device] = None
            problems.append({"problem": f"on {device}: {error}", "fix": []})
            continue
        found["runs"][device] = {
            "provider": check.provider,
            "images": check.images,
            "agreement": {code: round(part, 4) for code, part in check.agreement.items()},
            "correlation": {code: round(value, 4) for code, value in check.correlation.items()},
            "seconds": round(check.seconds, 4),
        }
    return found


def _show(report: dict[str, Any]) -> None:
    def line(key: str, value: object) -> None:
        output.emit(f"{key:<{_KEY_WIDTH}} {printable(value)}".rstrip())

    line("infogan-tool", f"{report['infogan_tool']}, python {report['python']} on {report['platform']}")
    line("libraries", ", ".join(f"{name} {report[name]}" for name in _LIBRARIES if name in report))
    ort = report["onnxruntime"]
    packages = ", ".join(f"{name} {version}" for name, version in ort["packages"].items())
    line("onnxruntime", f"{ort['version']} from {packages or 'no package'}")
    built_for = ", ".join(name.removesuffix("ExecutionProvider") for name in ort["built_for"])
    runs = report["bundle"]["runs"]
    works = ", ".join(run["provider"].removesuffix("ExecutionProvider") for run in runs.values() if run)
    line(
        "providers",
        f"built for {built_for or 'none'}; working: {works or ('none' if runs else 'not tested')}",
    )
    names = ", ".join(report["gpu"]["names"]) or "yes"
    line("GPU", names if report["gpu"]["visible"] else "none visible; the CPU is used")
    for extra, missing in report["missing_modules"].items():
        install = f"not installed ({', '.join(missing)} missing): pip install 'infogan-tool[{extra}]'"
        line(f"extra {extra}", install if missing else "installed")
    line("bundle", report["bundle"]["path"] or "pretrained")
    for device, run in runs.items():
        line(f"  on {device}", _run_line(run) if run else "does not run")
    for problem in report["problems"]:
        line("problem", problem["problem"])
        for command in problem["fix"]:
            line("  fix with", command)
    if report["ok"]:
        line("ok", "no problems found")


def _run_line(run: dict[str, Any]) -> str:
    results = [f"{code} recovered in {100 * part:.1f} %" for code, part in run["agreement"].items()]
    results += [f"{code} correlation {value:.2f}" for code, value in run["correlation"].items()]
    took = f"{run['images']} images generated and encoded in {1000 * run['seconds']:.0f} ms"
    return f"{took}: {', '.join(results)}"
