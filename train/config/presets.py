"""Presets: each is a function that returns a full config.

Nothing is left to a default elsewhere, so reading one function tells a whole run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import UsageError, did_you_mean
from infogan_tool.train.config.schema import TrainConfig, deep_merge, read_config_file, validate_config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS",
    "celeba",
    "chairs",
    "compact",
    "cvae",
    "faces",
    "gan",
    "lab",
    "mlp",
    "mnist",
    "paper",
    "resolve_config",
    "svhn",
    "upsample",
]


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
            "architecture": "infogan",
            "base_width": 64,
            "full_width": 1024,
            "dropout": 0.0,
            "q": "shared",
            "q_width": 128,
            "q_features": 256,
            "conditional": False,
            "leak": 0.1,
            "output": "sigmoid",
        },
        "objective": {
            "method": "adversarial",
            "adversarial_loss": "bce",
            "information_update": "q_head",
            "lambda_categorical": 1.0,
            "lambda_categorical_end": None,
            "lambda_continuous": 0.1,
            "log_variance": [-4.0, 2.0],
            "fixed_variance": None,
        },
        "optimizer": {
            "d_lr": 2e-4,
            "g_lr": 1e-3,
            "beta1": 0.5,
            "beta2": 0.999,
            "ema_decay": 0.0,
            "lr_decay_start": 1.0,
        },
        "augment": {"affine": 0.0, "elastic": 0.0, "stroke": 0.0},
        "q_view": None,
        "q_noise": 0.0,
        "clustering": None,
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

    Showing D and Q randomly warped images, real and generated alike, makes the categories follow the shapes
    that people would name (differentiable augmentation: arXiv:2006.10738, arXiv:2006.06676). Much
    stronger, and the continuous codes die, being such warps themselves.
    """
    return deep_merge(
        paper(),
        {
            "preset": "compact",
            "networks": {"base_width": 32, "full_width": 256},
            "augment": {"affine": 0.5},
            "schedule": {"batch_size": 128, "epochs": 30},
        },
    )


def mnist() -> dict[str, Any]:
    """Categories first, then the game; minutes on two cores; docs/explanation/default-preset.md.

    Q has encoders of its own. The one of the first categorical code is trained on real images without
    labels, and stands still while G learns to draw what it reads, and D is told it; the other learns the
    styles with G. Nothing here knows what the images show, but for the views: they suit strokes on an even
    ground.
    """
    weak = {"affine": 0.5, "elastic": 0.0, "stroke": 0.5}
    return deep_merge(
        compact(),
        {
            "preset": "mnist",
            "networks": {"q": "separate", "conditional": True},
            "objective": {
                "lambda_categorical": 0.5,
                "lambda_categorical_end": 12.0,
                "lambda_continuous": 0.3,
            },
            "optimizer": {"d_lr": 2.2e-3, "g_lr": 3.4e-3, "ema_decay": 0.998, "lr_decay_start": 0.1},
            "augment": {"affine": 0.0},
            "q_view": {"affine": 0.3, "elastic": 0.0, "stroke": 0.0},
            "q_noise": 0.03,
            "precision": "auto",
            "clustering": {
                "batch_size": 512,
                "contrastive": {
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
                    "ema_decay": 0.98,
                    "grouping_weight": 0.5,
                    "view": weak,
                    "second_view": {**weak, "affine": 0.3},
                },
            },
            "consolidation": {"steps": 2000, "learning_rate": 3e-3},
            "schedule": {"batch_size": 128, "epochs": 16},
        },
    )


def gan() -> dict[str, Any]:
    """`paper` without L_I: the codes are there and need not mean anything. Q looks on, to measure that."""
    return deep_merge(
        paper(), {"preset": "gan", "objective": {"lambda_categorical": 0.0, "lambda_continuous": 0.0}}
    )


def lab() -> dict[str, Any]:
    """The course lab: DCGAN networks on images of 64 x 64, 54 normal noise and one category, no styles."""
    return deep_merge(
        paper(),
        {
            "preset": "lab",
            "latent": {"noise": 54, "noise_prior": "normal", "continuous": 0},
            "data": {"size": 64},
            "networks": {"architecture": "dcgan", "leak": 0.2, "output": "tanh"},
            "optimizer": {"d_lr": 2e-4, "g_lr": 2e-4},
            "schedule": {"batch_size": 128, "epochs": 80},
        },
    )


def upsample() -> dict[str, Any]:
    """The port with nearest-neighbour enlargement and L_I in an update of its own.

    Least squares for D, squared error for the codes (a Gaussian of variance 0.5). Two slips of the published
    code are mended: a momentum of 0.8 that was given to BatchNorm as eps, and a softmax before the
    cross-entropy, which takes one itself.
    """
    return deep_merge(
        paper(),
        {
            "preset": "upsample",
            "latent": {"noise_prior": "normal"},
            "data": {"size": 32},
            "networks": {
                "architecture": "upsample",
                "base_width": 16,
                "dropout": 0.25,
                "leak": 0.2,
                "output": "tanh",
            },
            "objective": {
                "adversarial_loss": "least_squares",
                "information_update": "separate_step",
                "fixed_variance": 0.5,
            },
            "optimizer": {"d_lr": 2e-4, "g_lr": 2e-4},
            "schedule": {"batch_size": 64, "epochs": 50},
        },
    )


def mlp() -> dict[str, Any]:
    """Fully connected, styles only; the bound is the squared error of the reconstructed code."""
    return deep_merge(
        paper(),
        {
            "preset": "mlp",
            "latent": {"categorical": []},
            "networks": {"architecture": "mlp", "full_width": 512, "leak": 0.2},
            "objective": {"lambda_continuous": 1.0, "fixed_variance": 0.5},
            "schedule": {"epochs": 50},
        },
    )


def cvae() -> dict[str, Any]:
    """A conditional variational autoencoder on `mnist`'s latents and widths, to put beside it.

    It is given the category that `mnist`'s first stages find, so no label takes part here either.
    """
    return deep_merge(
        mnist(),
        {
            "preset": "cvae",
            "latent": {"noise_prior": "normal"},
            "networks": {"conditional": False},
            "objective": {"method": "variational", "lambda_categorical_end": None},
            "optimizer": {"g_lr": 1e-3, "ema_decay": 0.0, "lr_decay_start": 1.0},
            "q_view": None,
            "q_noise": 0.0,
            "consolidation": None,
            "schedule": {"epochs": 10},
        },
    )


def svhn() -> dict[str, Any]:
    """The paper's house numbers (appendix C.2): 4 codes of 10 categories, 4 styles, 124 noise."""
    return _of_the_paper("svhn", "svhn", size=32, channels=3, noise=124, categorical=[10] * 4, continuous=4)


def celeba() -> dict[str, Any]:
    """The paper's faces (appendix C.3): 10 codes of 10 categories, 128 noise."""
    return _of_the_paper(
        "celeba", "celeba", size=32, channels=3, noise=128, categorical=[10] * 10, continuous=0
    )


def faces() -> dict[str, Any]:
    """The paper's 3D faces (appendix C.4): 5 styles, 128 noise; for a folder of renderings of your own.

    The paper's rates differ by factor (azimuth, elevation, lighting, width); these are those of azimuth as
    they are handed down, which could not be checked.
    """
    return deep_merge(
        _of_the_paper("faces", "faces", size=32, channels=1, noise=128, categorical=[], continuous=5),
        {"objective": {"lambda_continuous": 0.2}, "optimizer": {"g_lr": 5e-4}},
    )


def chairs() -> dict[str, Any]:
    """The paper's 3D chairs (appendix C.5): 3 codes of 20 categories, 1 style, 128 noise.

    For a folder of renderings of your own. lambda is 1 for the categories and 10 for the style, as handed
    down for the rotation; not checked.
    """
    return deep_merge(
        _of_the_paper("chairs", "chairs", size=64, channels=1, noise=128, categorical=[20] * 3, continuous=1),
        {"objective": {"lambda_continuous": 10.0}},
    )


def _of_the_paper(
    name: str, source: str, *, size: int, channels: int, noise: int, categorical: list[int], continuous: int
) -> dict[str, Any]:
    # The latents and rates are the paper's; the networks a DCGAN's of the size, which its tables come near.
    return deep_merge(
        paper(),
        {
            "preset": name,
            "latent": {"noise": noise, "categorical": categorical, "continuous": continuous},
            "data": {"source": source, "size": size, "channels": channels},
            "networks": {"architecture": "dcgan", "output": "tanh"},
            "objective": {"lambda_continuous": 1.0},
        },
    )


PRESETS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    make.__name__: make
    for make in (mnist, compact, paper, gan, lab, upsample, mlp, cvae, svhn, celeba, faces, chairs)
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
    merged = deep_merge(deep_merge(PRESETS[name](), values), flags or {})
    return validate_config({**merged, "preset": name})
