"""``infogan-tool sweep``: several seeds of a training, or of a grid of configs."""

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infogan_tool.cli import output
from infogan_tool.cli.extras import require_extras
from infogan_tool.cli.options import ImportOption, JsonOption, import_modules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infogan_tool.export.sweep import Trial
    from infogan_tool.train import TrainConfig


def sweep(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- TRAIN OPTIONS", help="Options of train, after --, for all seeds."),
    ] = None,
    *,
    seeds: Annotated[
        str, typer.Option(metavar="0-4", help="Seeds: a range such as 0-4, a list such as 0,2,5, or both.")
    ] = "0-4",
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B", help="Values of a config key to compare. Repeat for every combination of keys."
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for all runs and bundles.")],
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Trainings at a time. Default: one per GPU, or else per core."),
    ] = None,
    imports: ImportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train, export and evaluate several seeds, and print the spread.

    With --grid, the seeds are trained for each combination of its values.
    The same command continues a sweep that was stopped; finished seeds are kept.

    Examples:
      infogan-tool sweep --seeds 0-4 --out sweep -- --preset mnist

      infogan-tool sweep --grid optimizer.g_lr=1e-3,2e-3 --out sweep
    """
    require_extras("sweep", "train")

    from infogan_tool.cli.comparison_tables import format_sweep
    from infogan_tool.export.sweep import Trial, parse_grid, parse_seeds, run_sweep, usable_gpus
    from infogan_tool.runtime.inference.device import default_threads

    import_modules(imports)
    combinations = parse_grid(grid or [])
    chosen = parse_seeds(seeds)
    trials = [Trial(seed=seed, settings=some) for some in combinations for seed in chosen]
    given, resume_arguments = _parse(context, arguments or [])
    configs = _configs_of(given, trials)
    cores, gpus = default_threads(), usable_gpus(given["device"])
    at_once = min(jobs or len(gpus) or cores, len(trials))
    result = run_sweep(
        trials,
        arguments or [],
        out,
        jobs=at_once,
        threads=max(cores // at_once, 1),
        report=output.note,
        gpus=gpus,
        resume_arguments=resume_arguments,
        imports=imports or [],
        configs=configs,
    )
    if as_json:
        output.emit(json.dumps(result.to_dict(), indent=2))
    else:
        output.emit(format_sweep(result))


def _parse(context: typer.Context, arguments: "Sequence[str]") -> tuple[dict[str, Any], list[str]]:
    """Return the values of options of train by name, and those options that set no key of the config."""
    from infogan_tool.cli.commands.train import config_flags

    group = context.find_root().command
    assert isinstance(group, typer.core.TyperGroup)
    command = group.commands["train"]
    with command.make_context("infogan-tool train", list(arguments)) as train:
        given = train.params
    left_out = {"preset", "config", *inspect.signature(config_flags).parameters, "imports"}  # a sweep's own
    others: list[str] = []
    for option in command.params:
        value = given.get(option.name or "")
        if option.name in left_out or value in (None, option.default):
            continue
        if isinstance(value, bool):
            others.append((option.opts if value else option.secondary_opts)[0])
        else:
            others += [option.opts[0], str(value)]
    return given, others


def _configs_of(given: "dict[str, Any]", trials: "Sequence[Trial]") -> "list[TrainConfig]":
    """Return the config of each trial; raise for options that are not valid, before anything is trained.

    Args:
        given: Values of the options of train.
        trials: Their seeds and settings.
    """
    from infogan_tool.cli.commands.train import config_flags
    from infogan_tool.runtime.errors import UsageError
    from infogan_tool.train.config.presets import resolve_config
    from infogan_tool.train.infogan.schemes import check_names

    file = Path(given["config"]) if given["config"] else None
    options = {name: given[name] for name in inspect.signature(config_flags).parameters}
    configs = []
    for trial in trials:
        every = [*(given["settings"] or []), *trial.texts]
        if any(setting.partition("=")[0].strip() == "seed" for setting in every):
            raise UsageError("key seed cannot be set in a sweep: its seeds are those of --seeds")
        flags = config_flags(**{**options, "settings": every, "seed": trial.seed})
        configs.append(resolve_config(preset=given["preset"], file=file, flags=flags))
        check_names(configs[-1])
    return configs
