"""The latent spec: the input of G, whose codes Q infers.

A latent is one vector, in this order::

    [ noise z | one-hot of k1 | one-hot of k2 | ... | c1 c2 ... ]

Noise is incompressible; Q does not infer it. The mutual-information term ties the categorical codes k1, k2,
... and the continuous codes c1, c2, ... to the image (InfoGAN, arXiv:1606.03657, section 4). Every dimension,
slice, entropy and name of a code is derived here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar, cast, get_args

from infogan_tool.runtime.errors import LatentError, did_you_mean

Array = TypeVar("Array", bound=Any)
NoisePrior = Literal["uniform", "normal"]

CONTINUOUS_LOW: Final = -1.0
"""Lower end of the uniform prior of every continuous code."""
CONTINUOUS_HIGH: Final = 1.0
"""Upper end of the uniform prior of every continuous code."""

PERIOD: Final = CONTINUOUS_HIGH - CONTINUOUS_LOW
"""Period of a periodic code: its ends are the same."""

_MAX_DIM: Final = 65_536
"""Greatest width of a latent, a limit for untrusted files."""


def whole_periods(difference: Array) -> Array:
    """Return the multiple of :data:`PERIOD` that is nearest to each difference of a periodic code."""
    periods: Array = PERIOD * (difference / PERIOD).round()
    return periods


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentSpec:
    """An ordered declaration of noise, categorical codes and continuous codes.

    Raises:
        LatentError: A size is negative, a categorical code has fewer than two categories, there is no code
            at all, or the latent is too wide.
    """

    noise: int
    """Number of noise dimensions; 0 is valid."""
    noise_prior: NoisePrior
    """``"uniform"`` on (-1, 1), or ``"normal"`` with mean 0 and standard deviation 1."""
    categorical: tuple[int, ...]
    """Number of categories of each categorical code, with a uniform prior; empty is valid."""
    continuous: int
    """Number of continuous codes, each uniform on (-1, 1); 0 is valid."""
    periodic: tuple[str, ...] = ()
    """Names of the continuous codes whose ends, -1 and 1, are the same: angles, in half turns."""

    def __post_init__(self) -> None:
        """Check the sizes."""
        numbers = (self.noise, self.continuous, *self.categorical)
        if any(not isinstance(number, int) or isinstance(number, bool) or number < 0 for number in numbers):
            raise LatentError("latent sizes are whole numbers of at least 0")
        if self.noise_prior not in get_args(NoisePrior):
            hint = did_you_mean(self.noise_prior, get_args(NoisePrior))
            raise LatentError(f"unknown noise_prior '{self.noise_prior}'{hint}")
        if any(size < 2 for size in self.categorical):  # noqa: PLR2004 - one category carries no information
            raise LatentError("a categorical code needs at least 2 categories")
        if not self.categorical and not self.continuous:
            raise LatentError("the latent has no code: give at least one categorical or continuous code")
        if self.dim > _MAX_DIM:
            raise LatentError(f"the latent is {self.dim:,} wide; at most {_MAX_DIM:,} is allowed")
        left = set(self.continuous_names if self.periodic else ())
        for name in self.periodic:
            if name not in left:
                if name in self.continuous_names:
                    raise LatentError(f"latent 'periodic' has {name} twice")
                hint = did_you_mean(name, self.continuous_names)
                raise LatentError(f"latent 'periodic' has '{name}', which is no continuous code{hint}")
            left.remove(name)

    # --- dimensions and slices -------------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """Width of the whole latent."""
        return self.noise + self.num_logits + self.continuous

    @property
    def num_logits(self) -> int:
        """Width of all one-hot codes together, which is also the number of category logits of Q."""
        return sum(self.categorical)

    @property
    def noise_slice(self) -> slice:
        """Slice of the noise in a latent."""
        return slice(0, self.noise)

    @property
    def logit_slices(self) -> tuple[slice, ...]:
        """Slice of each categorical code in Q's logits and probabilities."""
        ends = [sum(self.categorical[: i + 1]) for i in range(len(self.categorical))]
        return tuple(slice(end - size, end) for end, size in zip(ends, self.categorical, strict=True))

    @property
    def categorical_slices(self) -> tuple[slice, ...]:
        """Slice of each one-hot categorical code in a latent."""
        return tuple(slice(self.noise + s.start, self.noise + s.stop) for s in self.logit_slices)

    @property
    def continuous_slice(self) -> slice:
        """Slice of the continuous codes in a latent."""
        return slice(self.noise + self.num_logits, self.dim)

    # --- names -----------------------------------------------------------------------------------------

    @property
    def categorical_names(self) -> tuple[str, ...]:
        """``("k1", "k2", ...)``."""
        return tuple(f"k{i + 1}" for i in range(len(self.categorical)))

    @property
    def continuous_names(self) -> tuple[str, ...]:
        """``("c1", "c2", ...)``."""
        return tuple(f"c{i + 1}" for i in range(self.continuous))

    @property
    def code_names(self) -> tuple[str, ...]:
        """All codes, categorical first."""
        return self.categorical_names + self.continuous_names

    def categorical_index(self, name: str) -> int:
        """Return the position of categorical code ``name`` among the categorical codes.

        Raises:
            LatentError: There is no such categorical code.
        """
        return self._index(name, self.categorical_names, "categorical")

    def continuous_index(self, name: str) -> int:
        """Return the position of continuous code ``name`` among the continuous codes.

        Raises:
            LatentError: There is no such continuous code.
        """
        return self._index(name, self.continuous_names, "continuous")

    @property
    def periodic_columns(self) -> tuple[int, ...]:
        """Positions of the periodic codes among the continuous codes, in order."""
        names = frozenset(self.periodic)
        return tuple(i for i, name in enumerate(self.continuous_names) if name in names)

    def nearest(self, styles: Array, to: Array) -> Array:
        """Return continuous codes, periodic ones moved by whole periods so that they are nearest to others.

        Args:
            styles: ``(N, continuous)``, of numpy or torch.
            to: The others, likewise.
        """
        if not self.periodic:
            return styles
        moved: Array = styles + 0
        for i in self.periodic_columns:
            moved[:, i] += whole_periods(to[:, i] - moved[:, i])
        return moved

    @staticmethod
    def _index(name: str, names: tuple[str, ...], kind: str) -> int:
        if name not in names:
            raise LatentError(f"there is no {kind} code '{name}'{did_you_mean(name, names)}")
        return names.index(name)

    # --- information -----------------------------------------------------------------------------------

    @property
    def entropies(self) -> dict[str, float]:
        """Prior entropy H(c) of each code in nats, log k for k categories and log 2 for U(-1, 1)."""
        return {
            **{n: math.log(k) for n, k in zip(self.categorical_names, self.categorical, strict=True)},
            **dict.fromkeys(self.continuous_names, math.log(PERIOD)),
        }

    # --- JSON ------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as JSON-ready values; without ``periodic`` if no code is."""
        return {
            "noise": self.noise,
            "noise_prior": self.noise_prior,
            "categorical": list(self.categorical),
            "continuous": self.continuous,
            **({"periodic": list(self.periodic)} if self.periodic else {}),
        }

    @classmethod
    def from_dict(cls, data: object) -> LatentSpec:
        """Read the output of :meth:`to_dict`, or a table of a config file.

        Raises:
            LatentError: A key is missing or unknown, or a value is not valid.
        """
        keys = ("noise", "noise_prior", "categorical", "continuous", "periodic")
        if not isinstance(data, dict):
            raise LatentError(f"a latent spec is a table with the keys {', '.join(keys)}")
        for key in data:
            if key not in keys:
                raise LatentError(f"unknown latent key '{key}'{did_you_mean(str(key), keys)}")
        for key in keys[:-1]:
            if key not in data:
                raise LatentError(f"the latent spec has no '{key}'")
        categorical = data["categorical"]
        if not isinstance(categorical, (list, tuple)) or len(categorical) > _MAX_DIM:
            raise LatentError("latent 'categorical' is a list of numbers of categories, such as [10]")
        periodic = data.get("periodic", ())
        if not isinstance(periodic, (list, tuple)) or not all(isinstance(name, str) for name in periodic):
            raise LatentError("latent 'periodic' is a list of names of continuous codes, such as [\"c1\"]")
        return cls(
            noise=data["noise"],
            noise_prior=cast("NoisePrior", str(data["noise_prior"])),  # checked in __post_init__
            categorical=tuple(categorical),
            continuous=data["continuous"],
            periodic=tuple(periodic),
        )
