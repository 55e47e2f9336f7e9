"""Presets: each is a function that returns a full config.

Nothing is left to a default elsewhere, so reading one function tells a whole run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import UsageError, did_you_mean
from infogan_tool.train.config import TrainConfig, lay_over, read_config_file, validate_config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = ["DEFAULT_PRESET", "PRESETS", "compact", "mnist", "paper", "resolve_config"]


def paper() -> dict[str, Any]:
    """The paper's MNIST networks and objective (arXiv:1606.03657, appendix C.1), batch 100, 100 epochs.

    Adam's betas are (0.5, 0.999), those of the paper's published code; (0.5, 0.99), printed in some ports,
    was judged a slip. lambda is 1 for the category and 0.1 for the continuous codes, whose variance is
    learned here, so that their gradient is of the same order.
    """
    return {
        "preset": "paper",
        "seed": 0,
        "latent": {"noise": 62, "noise_prior": "uniform", "categorical": [10], "continuous": 2},
        "data": {"source": "mnist", "size": None, "channels": None},
        "networks": {
            "base_width": 64,
            "full_width": 1024,
            "recognition": "shared",
            "q_width": 128,
            "q_features": 256,
            "leak": 0.1,
            "output": "sigmoid",
        },
        "objective": {"lambda_categorical": 1.0, "lambda_continuous": 0.1, "log_variance": [-4.0, 2.0]},
        "optimizer": {"d_lr": 2e-4, "g_lr": 1e-3, "beta1": 0.5, "beta2": 0.999, "g_average_decay": 0.0},
        "augment": {"affine": 0.0, "elastic": 0.0, "stroke": 0.0},
        "posterior": None,
        "consolidation": None,
        "precision": "fp32",
        "schedule": {
            "batch_size": 100,
            "epochs": 100,
            "steps": None,
            "log_every": 50,
            "sample_every": 1,
            "checkpoint_every": 1,
            "keep_every": 10,
        },
    }


def compact() -> dict[str, Any]:
    """`paper` at a quarter to a half of its widths, with augmentation: small, and minutes on a CPU.

    Showing D and Q randomly warped pictures, real and generated alike, makes the categories follow the shapes
    that people would name (differentiable augmentation: arXiv:2006.10738, arXiv:2006.06676). Much
    stronger, and the continuous codes die, being such warps themselves.
    """
    return lay_over(
        paper(),
        {
            "preset": "compact",
            "networks": {"base_width": 32, "full_width": 256},
            "augment": {"affine": 0.5},
            "schedule": {"batch_size": 128, "epochs": 30},
        },
    )


def mnist() -> dict[str, Any]:
    """Categories first, then the game; minutes on two cores; docs/recipe.md.

    Q has encoders of its own. The one of the first categorical code is trained on real pictures without
    labels, and stands still while G learns to draw what it reads; the other learns the styles with G. Nothing
    here knows what the pictures show, but for the views: they suit strokes on an even ground.
    """
    weak = {"affine": 0.5, "elastic": 0.0, "stroke": 0.5}
    return lay_over(
        compact(),
        {
            "preset": "mnist",
            "networks": {"recognition": "separate"},
            "objective": {"lambda_categorical": 0.5, "lambda_continuous": 0.3},
            "optimizer": {"d_lr": 4e-4, "g_average_decay": 0.999},
            "augment": {"affine": 0.3},
            "precision": "auto",
            "posterior": {
                "batch_size": 512,
                "pretext": {
                    "epochs": 3.0,
                    "learning_rate": 3e-3,
                    "temperature": 0.2,
                    "view": {"affine": 1.3, "elastic": 0.0, "stroke": 1.0},
                },
                "neighbours": {"dimensions": 64, "candidates": 60, "count": 5, "displacement": 2},
                "grouping": {"directions": 40, "clusters": 250, "tries": 3},
                "refinement": {
                    "epochs": 7.0,
                    "learning_rate": 1e-3,
                    "average_decay": 0.98,
                    "grouping_weight": 0.5,
                    "view": weak,
                    "second_view": {**weak, "affine": 0.3},
                },
            },
            "consolidation": {"steps": 1000, "learning_rate": 1e-3},
            "schedule": {"batch_size": 64, "epochs": 10},
        },
    )


PRESETS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "mnist": mnist,
    "compact": compact,
    "paper": paper,
}
"""All presets by name."""
DEFAULT_PRESET: Final = "mnist"


def resolve_config(
    *, preset: str | None = None, file: Path | None = None, flags: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Return the config: preset, with the file's keys laid over it, and the flags over both.

    Args:
        preset: Name of a preset; None: the one that the file names, else :data:`DEFAULT_PRESET`.
        file: A TOML or JSON file holding any part of a config.
        flags: Nested tables as in the file.

    Raises:
        UsageError: There is no such preset.
        ConfigError: A key is unknown or a value is not possible.
    """
    values = read_config_file(file) if file else {}
    name = str(preset or values.get("preset", DEFAULT_PRESET))
    if name not in PRESETS:
        raise UsageError(f"there is no preset '{name}'{did_you_mean(name, PRESETS)}")
    merged = lay_over(lay_over(PRESETS[name](), values), flags or {})
    return validate_config({**merged, "preset": name})
