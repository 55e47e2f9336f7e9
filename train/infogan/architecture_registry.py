"""Architectures by name: those of the package and your own, and the check of what they return."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import torch
from torch import Tensor, nn

from infogan_tool.runtime.errors import InfoganError, UsageError
from infogan_tool.train.engine.registry import Registry, describe_error
from infogan_tool.train.engine.statistics import evaluation_mode
from infogan_tool.train.infogan.architectures import Layers, encoder_layers, standard_layers
from infogan_tool.train.infogan.latents import PeriodicInputs
from infogan_tool.train.infogan.residual import residual_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.train.config.schema import NetworkConfig, TrainConfig


class Architecture(Protocol):
    """What an architecture returns; its modules are on the CPU, with their initial weights.

    It may have ``encoder`` too, for the encoders of a separate Q: a function from a number of features W to a
    module from images to ``(N, W)`` or ``(N, W, 1, 1)``. Without it they are those of ``infogan``.
    """

    @property
    def generator(self) -> nn.Module:
        """From latents ``(N, L)`` to images ``(N, C, H, W)``, without the last activation."""

    @property
    def trunk(self) -> nn.Module:
        """D without its head: images ``(N, C, H, W)`` to features ``(N, F)`` or maps ``(N, F, M, M)``."""


class ArchitectureFactory(Protocol):
    """A class or function that makes an architecture."""

    def __call__(self, networks: NetworkConfig, latent_dim: int, image: ImageSpec, /) -> Architecture:
        """Return the networks of a run.

        Args:
            networks: The config's widths, ``leaky_relu_slope``, ``dropout`` and ``spectral_norm``.
            latent_dim: L: noise, one-hot categories and continuous codes; a periodic one counts twice, since
                G is given its cosine and sine.
            image: ``size``, ``channels``, and the range ``low`` to ``high``.

        Raises:
            UsageError: The architecture does not fit the images; the message says which would.
        """


_COUNT: Final = 2
"""Inputs of the check."""
_FLAT: Final = 2
"""Dimensions of a batch of vectors."""
F = TypeVar("F", bound=ArchitectureFactory)

ARCHITECTURES: Final = Registry[ArchitectureFactory](
    "architecture",
    {kind: partial(standard_layers, kind=kind) for kind in ("infogan", "dcgan", "upsample", "mlp")}
    | {"residual": residual_layers},
)
"""By value of ``networks.architecture``."""


def register_architecture(name: str) -> Callable[[F], F]:
    """Return a decorator that registers a class or function as an architecture.

    Raises:
        UsageError: The name is that of an architecture of the package, or not a name.
    """

    def register(factory: F) -> F:
        ARCHITECTURES.register(name, factory)
        return factory

    return register


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedArchitecture:
    """The networks of an architecture, each checked by a forward pass."""

    generator: nn.Sequential
    """From latents ``(N, L)`` to images ``(N, C, H, W)``, without the last activation."""
    trunk: nn.Sequential
    """From images to maps ``(N, F, M, M)``."""
    feature_shape: tuple[int, int]
    """F and M."""
    encoder: Callable[[int], nn.Sequential]
    """From a number of features W to an encoder from images to ``(N, W, 1, 1)``."""
    normal_weights: bool
    """Whether weights of convolutions are drawn anew from N(0, 0.02)."""


def build_architecture(config: TrainConfig, image: ImageSpec) -> CheckedArchitecture:
    """Return the networks of the architecture that the config names.

    Raises:
        UsageError: The architecture is not known, does not fit the images, or returns something else than
            :class:`Architecture` says.
    """
    nets, name = config.networks, config.networks.architecture
    factory = ARCHITECTURES.get(name)
    with _told(name):
        made = factory(nets, config.latent.dim + len(config.latent.periodic), image)
    generator, trunk = (_layers(name, part, getattr(made, part, None)) for part in ("generator", "trunk"))
    if config.latent.periodic:
        generator.insert(0, PeriodicInputs(config.latent))
    _check_generator(name, generator, config.latent.dim, image)
    if not any(parameter.requires_grad for parameter in generator.parameters()):
        raise UsageError(
            f"architecture '{name}': generator has no parameters to train: "
            "keep its layers in attributes or an nn.ModuleList, not in a list"
        )
    features = _run(name, "trunk", trunk, _images(image))
    _check_map(name, "trunk", trunk, features, "features (2, F) or maps (2, F, M, M)")
    own_encoder = getattr(made, "encoder", None)

    def encoder(width: int) -> nn.Sequential:
        if own_encoder is None:
            return nn.Sequential(*encoder_layers("infogan", nets, image, width))
        with _told(name):
            module = own_encoder(width)
        layers = _layers(name, "encoder", module)
        found = _run(name, "encoder", layers, _images(image))
        if found.shape not in {(_COUNT, width), (_COUNT, width, 1, 1)}:
            raise _wrong(name, "encoder", found, f"features (2, {width})")
        _check_map(name, "encoder", layers, found, "")
        return layers

    return CheckedArchitecture(
        generator=generator,
        trunk=trunk,
        feature_shape=(features.shape[1], features.shape[2] if features.ndim > _FLAT else 1),
        encoder=encoder,
        normal_weights=isinstance(made, Layers) and made.normal_weights,
    )


def check_forward(config: TrainConfig, image: ImageSpec, generator: nn.Module, trunk: nn.Module) -> None:
    """Check networks by a forward pass where they are; an own module may hold a tensor of another device.

    Raises:
        UsageError: An own module fails, or its outputs are not finite.
    """
    name = config.networks.architecture
    _check_generator(name, generator, config.latent.dim, image)
    _run(name, "trunk", trunk, _images(image))


def _check_generator(name: str, generator: nn.Module, latent_dim: int, image: ImageSpec) -> None:
    latents = 2 * torch.rand(_COUNT, latent_dim, generator=torch.Generator().manual_seed(0)) - 1
    found = _run(name, "generator", generator, latents)
    if found.shape[1:] != image.shape:
        raise _wrong(name, "generator", found, f"images {(_COUNT, *image.shape)}")


def _check_map(name: str, part: str, layers: nn.Sequential, found: Tensor, wanted: str) -> None:
    """Append a reshaping to layers whose output has no map."""
    if found.ndim == _FLAT:
        layers.append(nn.Unflatten(1, (found.shape[1], 1, 1)))
    elif found.ndim != _FLAT + 2 or found.shape[2] != found.shape[3]:
        raise _wrong(name, part, found, wanted)


def _images(image: ImageSpec) -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return image.low + (image.high - image.low) * torch.rand(_COUNT, *image.shape, generator=rng)


def _layers(name: str, part: str, module: object) -> nn.Sequential:
    """Return a module as a sequence of layers, which the exporter simplifies one by one."""
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"architecture '{name}': {part} must be a torch.nn.Module, not {type(module).__name__}"
        )
    elsewhere = {str(t.device) for t in (*module.parameters(), *module.buffers()) if t.device.type != "cpu"}
    if elsewhere:
        raise UsageError(
            f"architecture '{name}': {part} has parameters on {elsewhere.pop()}: make it on the CPU; "
            "training moves it"
        )
    # The outputs for an image would depend on the other images of the batch.
    if any(
        isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)) and m.running_mean is None for m in module.modules()
    ):
        raise UsageError(
            f"architecture '{name}': {part} has a BatchNorm with track_running_stats=False: leave this out"
        )
    return module if type(module) is nn.Sequential else nn.Sequential(module)


def _run(name: str, part: str, module: nn.Module, inputs: Tensor) -> Tensor:
    """Return the output of a module in evaluation mode."""
    device = next((parameter.device for parameter in module.parameters()), inputs.device)
    with torch.no_grad(), evaluation_mode(module), _told(name, part):
        found = module(inputs.to(device))
    if not isinstance(found, Tensor) or found.ndim < _FLAT or len(found) != _COUNT:
        raise _wrong(name, part, found, "one output for each input")
    if not found.isfinite().all():
        raise UsageError(f"architecture '{name}': outputs of {part} are not finite with its initial weights")
    return found


def _wrong(name: str, part: str, found: object, wanted: str) -> UsageError:
    shown = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    return UsageError(f"architecture '{name}': {part} returns {shown} for {_COUNT} inputs, not {wanted}")


@contextmanager
def _told(name: str, part: str = "") -> Iterator[None]:
    """Turn an exception of an own architecture into one line."""
    try:
        yield
    except InfoganError:
        raise
    except Exception as error:
        where = f"{part}: " if part else ""
        raise UsageError(f"architecture '{name}': {where}{describe_error(error)}") from error
