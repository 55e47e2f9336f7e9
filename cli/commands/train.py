"""``infogan-tool train``."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import ImportOption, import_modules
from infogan_tool.runtime.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from infogan_tool.cli.explorer.watch import WatchedRun
    from infogan_tool.train import Run, TrainConfig
    from infogan_tool.train.distributed.process_group import ProcessGroup

_PRESET_HELP = (
    "Named config: mnist (default), compact, paper, gan, lab, upsample, mlp, "
    "cvae, dsprites, rooms, svhn, celeba, faces or chairs."
)
_DATA_HELP = (
    "mnist (part of the package), dsprites or rooms, which are computed, fashion-mnist, kmnist, qmnist, "
    "emnist, svhn, cifar10 or celeba, which are downloaded; or a folder of images or of IDX files. "
    "Default: the preset's; presets faces and chairs need a folder."
)


def train(
    *,
    preset: Annotated[
        str | None,
        typer.Option(help=_PRESET_HELP, metavar="NAME"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML or JSON file with any part of a config; overrides the preset.", metavar="FILE"
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help=_DATA_HELP, metavar="NAME|FOLDER")] = None,
    size: Annotated[
        int | None, typer.Option(help="Resize images to this height and width.", min=8, metavar="PIXELS")
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="1 (grey) or 3 (colour).", min=1, max=3, metavar="C")
    ] = None,
    categorical: Annotated[
        list[int] | None,
        typer.Option(
            help="Number of categories of a categorical code. Repeat for more codes; 0 for none. "
            "Default: the preset's.",
            min=0,
            metavar="K",
        ),
    ] = None,
    continuous: Annotated[
        int | None,
        typer.Option(help="Number of continuous codes. Default: the preset's.", min=0, metavar="N"),
    ] = None,
    transformation: Annotated[
        list[str] | None,
        typer.Option(
            help="What c1 stands for: shift_x, shift_y, scale, rotation, slant, aspect, stroke_width, turn. "
            "Repeat for c2, and so on; further codes are free.",
            metavar="NAME",
        ),
    ] = None,
    noise: Annotated[
        int | None,
        typer.Option(help="Number of noise dimensions. Default: the preset's.", min=0, metavar="N"),
    ] = None,
    views: Annotated[
        Literal["strokes", "silhouettes", "objects", "shapes", "none"] | None,
        typer.Option(
            help="Random changes that do not alter what an image shows, for clustering. Default: strokes."
        ),
    ] = None,
    kimg: Annotated[
        float | None,
        typer.Option(
            help="Length of adversarial training in thousands of images, counted each time they are used. "
            "Default: the preset's.",
            min=0.001,
            metavar="N",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Length of adversarial training in passes over the data, in place of --kimg. "
            "Other stages keep their length.",
            min=1,
            metavar="N",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Length of adversarial training in steps, likewise.", min=1, metavar="N"),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Real images per step. Default: the preset's.", min=2, metavar="N")
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "tf32", "bf16"] | None,
        typer.Option(
            help="Precision of forward and backward passes; auto: bf16 where the device is faster in it. "
            "Default: the preset's."
        ),
    ] = None,
    imports: ImportOption = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of all random numbers. Default: 0.", min=0, metavar="N")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Set any key of the config, such as optimizer.g_lr=5e-4. Repeat for more keys.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Device to train on; auto: a GPU if there is one.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="CPU threads. Default: one per core.", min=1, metavar="N")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Run folder to create. Default: the next number under runs/.", metavar="RUN"
        ),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Resume this run from its last checkpoint.", metavar="RUN")
    ] = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write the metrics for TensorBoard.")
    ] = False,
    profile: Annotated[
        bool,
        typer.Option(
            "--profile", help="Profile some steps of each stage, and print and write where time is spent."
        ),
    ] = False,
    explore: Annotated[
        bool, typer.Option("--explore", help="Open a page that shows the training while it runs.")
    ] = False,
    capture: Annotated[
        bool, typer.Option("--capture/--no-capture", help="Capture each adversarial step as one CUDA graph.")
    ] = True,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Read images as they are needed. Default: where they take more than half of the memory.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the resolved config, for --config, and numbers of steps and parameters "
            "as JSON; write nothing.",
        ),
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of config files, for editors.")
    ] = False,
) -> None:
    """Train an InfoGAN on images, without labels.

    The keys of --config override those of the preset, and --set and the other
    options override both.

    Examples:
      infogan-tool train --out run

      infogan-tool train --preset paper --epochs 1 --out run

      infogan-tool train --data ./images --size 32 --categorical 5 --views objects

      infogan-tool train --transformation slant --transformation stroke_width

      infogan-tool train --set optimizer.g_lr=5e-4 --set augment.affine=0.3

      infogan-tool train --data ./images --size 32 --explore

      infogan-tool train --resume run --epochs 60
    """
    if schema:
        require_extras("train", "train")
        _print_schema()
        return
    flags = config_flags(
        seed=seed,
        precision=precision,
        data=data,
        size=size,
        channels=channels,
        categorical=categorical,
        continuous=continuous,
        transformation=transformation,
        noise=noise,
        views=views,
        kimg=kimg,
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        settings=settings,
    )
    length = _given(kimg=kimg, epochs=epochs, steps=steps)
    rest = {key: value for key, value in flags.items() if key != "schedule" and value != {"source": data}}
    if resume is not None and (rest or preset or config or out or dry_run or batch_size or settings):
        raise UsageError(
            "--resume uses the run's own config: it can be combined with --data, if the images were moved, "
            "--kimg, --epochs, --steps, --device, --threads, --import, --tensorboard, --profile, --explore, "
            "--capture and --stream only"
        )
    require_extras("train", "train")
    if explore:
        require_extras("train --explore", "ui")
    import_modules(imports)
    from infogan_tool.cli.stderr_console import StderrConsole
    from infogan_tool.cli.training_progress import TrainingProgress
    from infogan_tool.train import RunOptions, fit
    from infogan_tool.train.config.presets import resolve_config

    callbacks: list[object] = [_TrainingPage()] if explore else []
    if not output.is_quiet():
        callbacks.append(TrainingProgress(StderrConsole()))
    with _process_group(device, threads) as group:
        resolved = None
        if resume is None:
            with group.fail_together():
                resolved = resolve_config(preset=preset, file=config, flags=flags)
        if resolved is not None and dry_run:
            _print_plan(resolved, group, device=device, threads=threads, stream=stream)
            return
        run = fit(
            resolved,
            data if resume else None,
            out=None if resume else out or "auto",
            callbacks=callbacks,
            device=device,
            threads=threads,
            resume=resume,
            schedule=length if resume else None,
            options=RunOptions(tensorboard=tensorboard, profile=profile, capture=capture, stream=stream),
            group=group,
        )
        _print_next_step(group, run, imports or [])


class _TrainingPage:
    """A callback: the page of the training, served by a thread of the process that trains."""

    def __init__(self) -> None:
        self._watched: WatchedRun | None = None

    def on_start(self, run: "Run") -> None:
        """Serve the page and open it."""
        from infogan_tool.cli.commands.explore import watch_in_background
        from infogan_tool.cli.explorer.watch import WatchedRun

        assert run.path is not None
        self._watched = WatchedRun(run.path)
        watch_in_background(self._watched)

    def on_end(self, _run: "Run") -> None:
        """Wait until an open page shows the end; the server ends with the process."""
        if self._watched is not None:
            self._watched.wait_until_shown()


def config_flags(
    *,
    seed: int | None,
    precision: str | None,
    data: str | None,
    size: int | None,
    channels: int | None,
    categorical: list[int] | None,
    continuous: int | None,
    transformation: list[str] | None,
    noise: int | None,
    views: str | None,
    kimg: float | None,
    epochs: int | None,
    steps: int | None,
    batch_size: int | None,
    settings: list[str] | None,
) -> dict[str, Any]:
    """Return the nested tables of a config that the options of train set.

    Raises:
        UsageError: Two options set the same key, or a ``--set`` is malformed.
    """
    length = _given(kimg=kimg, epochs=epochs, steps=steps)
    if len(length) > 1:
        several = " and ".join(f"--{name}" for name in length)
        raise UsageError(f"{several} set the length of the training: give one")
    # The code of an angle has no ends.
    periodic = [f"c{i}" for i, name in enumerate(transformation or (), 1) if name == "turn"]
    options: dict[str, tuple[Any, str]] = {
        "seed": (seed, "--seed"),
        "precision": (precision, "--precision"),
        "data.source": (data, "--data"),
        "data.size": (size, "--size"),
        "data.channels": (channels, "--channels"),
        "latent.categorical": ([k for k in categorical if k] if categorical else None, "--categorical"),
        "latent.continuous": (continuous, "--continuous"),
        "latent.noise": (noise, "--noise"),
        "latent.periodic": (periodic or None, "--transformation turn"),
        "objective.transformations": (transformation or None, "--transformation"),
        "schedule.batch_size": (batch_size, "--batch-size"),
        "clustering.views": (views, "--views"),
        **{f"schedule.{key}": (value, f"--{key}") for key, value in length.items()},
    }
    given = {key: option for key, option in options.items() if option[0] is not None}
    require_extras("train", "train")
    from infogan_tool.train.config.files import deep_merge, nested, parse_settings
    from infogan_tool.train.config.tables import LENGTH_KEYS

    values = {key: value for key, (value, _) in given.items()}
    if transformation:  # needs a Q on D's trunk that moves it; --set may say otherwise
        values |= {"networks.q": "shared", "objective.information_update": "shared"}
    flags = nested(values)
    if not settings:
        return flags
    taken = {key: option for key, (_, option) in given.items()}
    for name in length:  # the other units set the same length
        taken |= dict.fromkeys((f"schedule.{key}" for key in LENGTH_KEYS), f"--{name}")
    settings_by_key = parse_settings(settings, flags=taken)
    for key, found in settings_by_key.items():
        if not found:
            raise UsageError(f"--set {key} has no value: none disables a key that may be empty")
        if len(found) != 1:
            raise UsageError(f"--set {key} takes one value, not {len(found)}: write a list in brackets")
    return deep_merge(flags, nested({key: value for key, (value,) in settings_by_key.items()}))


def _print_schema() -> None:
    from infogan_tool.train.config.presets import config_schema

    output.emit(json.dumps(config_schema(), indent=2))


def _print_plan(
    config: "TrainConfig", group: "ProcessGroup", *, device: str, threads: int | None, stream: bool | None
) -> None:
    from infogan_tool.train.run.plan import plan_training

    plan = plan_training(config, device=device, threads=threads, stream=stream, group=group)
    if group.is_main:
        output.emit(json.dumps(plan.to_dict(), indent=2))


@contextmanager
def _process_group(device: str, threads: int | None) -> "Iterator[ProcessGroup]":
    """Join torchrun's processes while the block runs; exit silently on an error that another one reports."""
    from infogan_tool.runtime.errors import ReportedElsewhereError
    from infogan_tool.train.distributed.torchrun import join_process_group

    try:
        with join_process_group(device, threads) as group:
            yield group
    except ReportedElsewhereError as error:
        raise typer.Exit(error.exit_code) from error


def _print_next_step(group: "ProcessGroup", run: "Run", imports: list[str]) -> None:
    group.ignore_sigterm()
    quoted = " ".join([shlex.quote(str(run.path)), *(f"--import {name}" for name in imports)])
    if group.is_main and run.interrupted:
        output.note(f"stopped at step {run.step} of {run.total_steps}; the state is saved")
        output.note(f"resume with: infogan-tool train --resume {quoted}")
    elif group.is_main:
        output.note(f"done: {run.step} steps; next: infogan-tool export {quoted} --out BUNDLE")
    group.barrier()
    if run.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)


def _given(**values: object) -> dict[str, Any]:
    """Return the values that are neither None nor an empty table."""
    return {name: value for name, value in values.items() if value is not None and value != {}}
