"""Training (PyTorch): images and a config in, networks and a run folder out.

>>> from infogan_tool.train import fit, preset
>>> config = preset("paper", latent={"continuous": 3}, networks={"base_width": 4}, schedule={"steps": 2})
>>> run = fit(config, device="cpu", threads=1)  # out="run": with a run folder
>>> run.step, run.metrics["MI/c3"].shape, run.generate(run.sample(4)).shape
(2, (1,), (4, 1, 28, 28))

A package imports those below it, never those above.

=============  ==============================================================================
`run`          a training run: start, resume, the loop, and what is written to the run folder
`clustering`   the stages that pre-train Q's category encoder on real images, without labels
`infogan`      InfoGAN: objective, networks, one adversarial step, and the stages that train G
`engine`       what every stage uses: its interface, optimizers, EMA, meters, profiling
`config`       every key of the training config, presets, config files
`data`         from ``--data`` to one block of uint8 images
`distributed`  several processes: how a batch is split, and synchronised BatchNorm
=============  ==============================================================================

To learn how InfoGAN is trained, read `infogan`: `objective`, `networks`, `step`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infogan_tool.runtime.lazy import lazy_names

if TYPE_CHECKING:
    from infogan_tool.runtime.errors import CallbackError, ConfigError
    from infogan_tool.train.config.presets import preset
    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.data.imageset import ImageSet
    from infogan_tool.train.engine.registry import import_module
    from infogan_tool.train.infogan.architecture_registry import register_architecture
    from infogan_tool.train.infogan.schemes import Update, register_scheme
    from infogan_tool.train.infogan.terms import TermInputs, register_term
    from infogan_tool.train.run.callbacks import Callback
    from infogan_tool.train.run.fit import fit
    from infogan_tool.train.run.loggers import JsonLinesLogger, TensorBoardLogger
    from infogan_tool.train.run.options import RunOptions
    from infogan_tool.train.run.run import Run

__all__ = [
    "Callback",
    "CallbackError",
    "ConfigError",
    "ImageSet",
    "JsonLinesLogger",
    "Run",
    "RunOptions",
    "TensorBoardLogger",
    "TermInputs",
    "TrainConfig",
    "Update",
    "fit",
    "import_module",
    "preset",
    "register_architecture",
    "register_scheme",
    "register_term",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "config.files": ("ConfigError",),
        "config.presets": ("preset",),
        "config.schema": ("TrainConfig",),
        "data.imageset": ("ImageSet",),
        "engine.registry": ("import_module",),
        "infogan.architecture_registry": ("register_architecture",),
        "infogan.schemes": ("Update", "register_scheme"),
        "infogan.terms": ("TermInputs", "register_term"),
        "run.callbacks": ("Callback", "CallbackError"),
        "run.fit": ("fit",),
        "run.loggers": ("JsonLinesLogger", "TensorBoardLogger"),
        "run.options": ("RunOptions",),
        "run.run": ("Run",),
    },
)
