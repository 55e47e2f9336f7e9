"""Presets: named configs, each as its differences from the defaults of schema.py, which are the paper's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.errors import UsageError, did_you_mean
from infogan_tool.train.config.files import deep_merge, read_config_file, validate_config
from infogan_tool.train.config.schema import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def paper() -> dict[str, Any]:
    """Return the paper's MNIST networks and objective (arXiv:1606.03657, appendix C.1): the defaults.

    Adam's betas are (0.5, 0.999), those of the paper's published code; (0.5, 0.99), which some ports
    print, is assumed to be a typing error. lambda is 1 for the category and 0.1 for the continuous codes.
    Their variance is learned here, so that 0.1 makes their gradient as large as the category's.
    """
    return {}


def compact() -> dict[str, Any]:
    """Return `paper` at a quarter to a half of its widths, with augmentation; minutes on a CPU.

    D and Q see randomly warped images, real and generated alike (differentiable augmentation:
    arXiv:2006.10738, arXiv:2006.06676). With it the categories correspond better to human labels. Much
    stronger augmentation makes the continuous codes useless, because such warps are what they encode.
    """
    return {
        "networks": {"base_width": 32, "full_width": 256},
        "augment": {"affine": 0.5},
        "schedule": {"batch_size": 128, "kimg": 1797.1},
    }


def mnist() -> dict[str, Any]:
    """Return clustering before adversarial training, at the widths of `compact`; minutes on two cores.

    Q has its own encoders. That of the first categorical code is trained on real images without labels and
    then frozen. In adversarial training, D is conditioned on its category and G learns to generate images
    of a given category. The other encoder learns the styles together with G. Only the augmentation depends
    on what the images show: it suits strokes on an even background. See docs/explanation/default-preset.md.
    """
    return {
        "networks": {"base_width": 32, "full_width": 256, "q": "separate", "conditional": True},
        "objective": {
            "lambda_categorical": 0.5,
            "lambda_categorical_end": 12.0,
            "lambda_continuous": 0.3,
            "axis_alignments": 31,
            "hessian_penalty": 0.05,
            "hessian_latents": 8,
            "direction_penalty": 0.2,
        },
        "optimizer": {"d_lr": 2.2e-3, "g_lr": 3.4e-3, "ema_decay": 0.998, "lr_decay_start": 0.1},
        "q_view": {"affine": 0.3},
        "q_noise": 0.03,
        "precision": "auto",
        "clustering": {},
        "consolidation": {},
        "schedule": {"batch_size": 128, "kimg": 958.5},
    }


def gan() -> dict[str, Any]:
    """Return `paper` without L_I: a plain GAN whose codes need not mean anything. Q is only monitored."""
    return {"objective": {"lambda_categorical": 0.0, "lambda_continuous": 0.0}}


def lab() -> dict[str, Any]:
    """Return DCGAN networks on images of 64 x 64: 54 noise dimensions, one categorical code, no styles."""
    return {
        "latent": {"noise": 54, "noise_prior": "normal", "continuous": 0},
        "data": {"size": 64},
        "networks": {"architecture": "dcgan", "leaky_relu_slope": 0.2, "output": "tanh"},
        "optimizer": {"g_lr": 2e-4},
        "schedule": {"batch_size": 128, "epochs": 80},
    }


def upsample() -> dict[str, Any]:
    """Return a well-known port: G upsamples by nearest neighbour, and L_I has an update of its own.

    D's loss is least squares, that of the codes the squared error (a Gaussian of variance 0.5). Two errors of
    the published code are corrected: 0.8, meant as BatchNorm's momentum, was passed as its eps; and a softmax
    stood before the cross-entropy, which applies one itself.
    """
    return {
        "latent": {"noise_prior": "normal"},
        "data": {"size": 32},
        "networks": {
            "architecture": "upsample",
            "base_width": 16,
            "dropout": 0.25,
            "leaky_relu_slope": 0.2,
            "output": "tanh",
        },
        "objective": {
            "adversarial_loss": "least_squares",
            "information_update": "separate_step",
            "fixed_variance": 0.5,
        },
        "optimizer": {"g_lr": 2e-4},
        "schedule": {"batch_size": 64, "epochs": 50},
    }


def mlp() -> dict[str, Any]:
    """Return fully connected networks with styles only; L_I is the squared error of the codes."""
    return {
        "latent": {"categorical": []},
        "networks": {"architecture": "mlp", "full_width": 512, "leaky_relu_slope": 0.2},
        "objective": {"lambda_continuous": 1.0, "fixed_variance": 0.5},
        "schedule": {"epochs": 50},
    }


def cvae() -> dict[str, Any]:
    """Return a conditional variational autoencoder with the latents and widths of `mnist`, as a baseline.

    It is conditioned on the pseudo-labels of the same clustering, so it uses no labels either.
    """
    return deep_merge(
        mnist(),
        {
            "latent": {"noise_prior": "normal"},
            "networks": {"conditional": False},
            "objective": {"method": "variational", "lambda_categorical_end": None},
            "optimizer": {"g_lr": 1e-3, "ema_decay": 0.0, "lr_decay_start": 1.0},
            "q_view": None,
            "q_noise": 0.0,
            "consolidation": None,
            "schedule": {"kimg": 599.0},
        },
    )


def dsprites() -> dict[str, Any]:
    """Return an InfoGAN with a category and 4 styles on dSprites of 32 x 32; 25 minutes on one core.

    k1 is found first, by clustering, as in `mnist`. c1 and c2 stand for shifts, c3 for size, c4 for angle.
    Batch size, update scheme and the first lambda of styles are those of InfoGAN-CR (arXiv:1906.06034). It
    has 5 styles and no category, a D with spectral norm, the squared error of the codes, other networks on
    64 x 64, 322,560 steps, a contrastive regulariser, and no transformations. See docs/results/dsprites.md.
    """
    return {
        "latent": {"noise": 5, "categorical": [3], "continuous": 4, "periodic": ["c4"]},
        "data": {"source": "dsprites", "size": 32},
        "networks": {
            "base_width": 32,
            "full_width": 256,
            "leaky_relu_slope": 0.2,
            "conditional": True,
            "mean_start": True,
        },
        "objective": {
            "information_update": "shared",
            # From 0, and later: before G makes sprites, it would meet the information of k1 by patterns.
            "lambda_categorical": 0.0,
            "lambda_categorical_end": 1.0,
            "lambda_continuous": 0.05,
            "lambda_continuous_end": 0.3,
            "lambda_ramp_start": 0.1,
            "transformations": ["shift_x", "shift_y", "scale", "turn"],
        },
        "optimizer": {"d_lr": 6e-4, "ema_decay": 0.998, "lr_decay_start": 0.5},
        "q_noise": 0.03,
        "initial_blur": 1 / 16,
        "precision": "auto",
        "clustering": {
            "views": "silhouettes",
            "contrastive": {"kimg": 400.0},
            "neighbours": {"images": 30_000},
            "refinement": {"kimg": 838.6, "learning_rate": 3e-3},
        },
        "schedule": {"batch_size": 64, "kimg": 768.0},
    }


def rooms() -> dict[str, Any]:
    """Return an InfoGAN with a category and 5 styles on rooms of 32 x 32; half an hour on one core.

    k1 is found first, by clustering that ignores hues. c1 to c3 are periodic, as a hue is; what they and the
    other two come to mean is found by L_I and the Hessian penalty. See docs/results/rooms.md.
    """
    return {
        "latent": {"noise": 5, "categorical": [4], "continuous": 5, "periodic": ["c1", "c2", "c3"]},
        "data": {"source": "rooms", "size": 32, "channels": 3},
        "networks": {"architecture": "dcgan", "base_width": 24, "output": "tanh", "conditional": True},
        "objective": {
            "hessian_penalty": 0.1,
            "initial_hessian_penalty": 0.9,
            "restart": {},
            "lambda_categorical": 0.0,
            "lambda_categorical_end": 1.0,
            "lambda_continuous": 0.05,
            "lambda_continuous_end": 0.3,
            # c1 to c3 take whole hues; c4 and c5 would take parts of them.
            "free_codes_start": 0.1,
        },
        "optimizer": {"ema_decay": 0.998, "lr_decay_start": 0.5},
        "initial_blur": 1 / 16,
        "clustering": {
            "views": "shapes",
            "contrastive": {"kimg": 180.0},
            "neighbours": {"images": 20_000},
        },
        "schedule": {"batch_size": 64, "kimg": 320.0},
    }


def svhn() -> dict[str, Any]:
    """Return the paper's house numbers (appendix C.2): 4 codes of 10 categories, 4 styles, 124 noise."""
    return _from_the_paper("svhn", size=32, channels=3, noise=124, categorical=[10] * 4, continuous=4)


def celeba() -> dict[str, Any]:
    """Return the paper's faces (appendix C.3): 10 codes of 10 categories, 128 noise."""
    return _from_the_paper("celeba", size=32, channels=3, noise=128, categorical=[10] * 10, continuous=0)


def faces() -> dict[str, Any]:
    """Return the paper's 3D faces (appendix C.4): 5 styles, 128 noise; for a folder of your own renderings.

    The paper gives a learning rate and lambda for each factor (azimuth, elevation, lighting, width). These
    are those of azimuth as secondary sources give them; they could not be checked.
    """
    return deep_merge(
        _from_the_paper("faces", size=32, channels=1, noise=128, categorical=[], continuous=5),
        {"objective": {"lambda_continuous": 0.2}, "optimizer": {"g_lr": 5e-4}},
    )


def chairs() -> dict[str, Any]:
    """Return the paper's 3D chairs (appendix C.5): 3 codes of 20 categories, 1 style, 128 noise.

    For a folder of your own renderings. lambda is 1 for the categories and 10 for the style, as secondary
    sources give it for rotation; it could not be checked.
    """
    return deep_merge(
        _from_the_paper("chairs", size=64, channels=1, noise=128, categorical=[20] * 3, continuous=1),
        {"objective": {"lambda_continuous": 10.0}},
    )


def _from_the_paper(
    source: str, *, size: int, channels: int, noise: int, categorical: list[int], continuous: int
) -> dict[str, Any]:
    # Latents and rates are the paper's. Its network tables are close to a DCGAN of that size.
    return {
        "latent": {"noise": noise, "categorical": categorical, "continuous": continuous},
        "data": {"source": source, "size": size, "channels": channels},
        "networks": {"architecture": "dcgan", "output": "tanh"},
        "objective": {"lambda_continuous": 1.0},
    }


PRESETS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    make.__name__: make
    for make in (
        mnist,
        compact,
        paper,
        gan,
        lab,
        upsample,
        mlp,
        cvae,
        dsprites,
        rooms,
        svhn,
        celeba,
        faces,
        chairs,
    )
}
"""All presets by name."""
DEFAULT_PRESET: Final = "mnist"


def resolve_config(
    *, preset: str | None = None, file: Path | None = None, flags: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Return the config of a preset, overridden by a file's keys, and both by flags.

    Args:
        preset: Name of a preset; None: the one that the file names, else :data:`DEFAULT_PRESET`.
        file: A TOML or JSON file with any part of a config.
        flags: Nested tables as in the file.

    Raises:
        UsageError: The preset does not exist, or two are given.
        ConfigError: A key is unknown or a value is not possible.
    """
    values = read_config_file(file) if file else {}
    asked = (flags or {}).get("preset")
    if preset and asked not in (None, preset):
        raise UsageError(f"two presets are given: '{preset}', and {asked!r:.60} by the key preset")
    name = str(preset or asked or values.get("preset", DEFAULT_PRESET))
    if name not in PRESETS:
        raise UsageError(f"there is no preset '{name}'{did_you_mean(name, PRESETS)}")
    merged = deep_merge(deep_merge(PRESETS[name](), values), flags or {})
    return validate_config({**merged, "preset": name})


def config_schema() -> dict[str, Any]:
    """Return the JSON schema of a config file: any part of a config, every key with its meaning."""
    schema = TrainConfig.model_json_schema()
    schema["properties"]["preset"] |= {"enum": list(PRESETS), "default": DEFAULT_PRESET}
    del schema["$defs"]["LatentSpec"]["required"]
    return schema


def preset(name: str = DEFAULT_PRESET, /, **changes: Any) -> TrainConfig:  # noqa: ANN401 - any key's value
    """Return the config of a preset with some keys changed.

    Args:
        name: Name of a preset.
        changes: Keys of the config. A table changes only the keys that it has:
            ``latent={"continuous": 3}`` keeps the preset's noise and categories.

    Raises:
        UsageError: The preset does not exist; names the nearest one.
        ConfigError: A key is unknown, with the nearest valid one, or a value is not possible.
    """
    return resolve_config(preset=name, flags=changes)
