"""The bundle format, shared by exporter and runtime.

A bundle is a folder of three files with one bundle id, and an optional one::

    generator.onnx    noise, categories, styles -> images
    q_encoder.onnx    images -> probabilities, style_mean, style_std
    metadata.json     this module's BundleMetadata
    examples.png      optional: example images

A graph has no input or output of width zero (no noise, no categorical or no continuous code).
docs/reference/bundle.md describes the format for readers in other languages.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast, get_args

from infogan_tool.runtime.errors import BundleError, LatentError
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.runtime.storage.atomic import read_limited
from infogan_tool.runtime.storage.json_fields import Fields, checked_text, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

SCHEMA_VERSION: Final = 2
GENERATOR_FILE: Final = "generator.onnx"
ENCODER_FILE: Final = "q_encoder.onnx"
GRAPH_FILES: Final = (GENERATOR_FILE, ENCODER_FILE)
METADATA_FILE: Final = "metadata.json"
EXAMPLES_FILE: Final = "examples.png"
"""Example images; only if the metadata have ``examples``."""

BATCH_AXIS: Final = "batch"
"""Name of the one dynamic axis, the first of every tensor."""

PROP_BUNDLE_ID: Final = "infogan.bundle_id"
PROP_SCHEMA_VERSION: Final = "infogan.schema_version"
PROP_METADATA: Final = "infogan.metadata"
"""Keys of each graph's metadata_props; the last holds latent, image, opset, versions and training as JSON."""

Precision = Literal["fp32", "fp16", "int8"]
"""Precision of the graphs' computation; inputs and outputs are float32 (and int64) at any precision."""

_MAX_METADATA_BYTES: Final = 1_000_000
_MAX_EXAMPLES_BYTES: Final = 1 << 26


@dataclass(frozen=True, kw_only=True, slots=True)
class GraphFile:
    """Digest and size of a graph file."""

    sha256: str
    """SHA-256 of the file, in hexadecimal."""
    bytes: int
    """Size of the file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExamplesFile:
    """Number of example images, and digest and size of their file."""

    MAX_COUNT: ClassVar[int] = 100

    count: int
    """Number of images, side by side in the file."""
    sha256: str
    """SHA-256 of the file, in hexadecimal."""
    bytes: int
    """Size of the file."""

    @classmethod
    def from_dict(cls, data: object) -> ExamplesFile:
        """Read an entry of the metadata.

        Raises:
            BundleError: A value is missing or not valid.
        """
        fields = Fields(data, "examples")
        return cls(
            count=fields.integer("count", 1, cls.MAX_COUNT),
            sha256=fields.text("sha256"),
            bytes=fields.integer("bytes", 1, _MAX_EXAMPLES_BYTES),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class OodSpec:
    """Out-of-distribution detection. The encoder then has an output ``distance``, the OOD score."""

    threshold: float
    """An image with a greater distance is out of distribution."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """How the distance was fitted and the threshold chosen; free form."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: object) -> OodSpec:
        """Read the output of :meth:`to_dict`.

        Raises:
            BundleError: A value is missing or not valid.
        """
        fields = Fields(data, "ood")
        return cls(threshold=fields.number("threshold"), metrics=fields.table("metrics"))


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleMetadata:
    """The content of metadata.json."""

    schema_version: int
    """Version of the format; the runtime reads exactly :data:`SCHEMA_VERSION`."""
    bundle_id: str
    """Id in the metadata and in both graphs; derived from weights, latent spec and config."""
    tool_version: str
    """Version of infogan-tool that exported the bundle."""
    latent: LatentSpec
    """Latent spec: inputs of G, outputs of Q."""
    image: ImageSpec
    """Image spec: output of G, input of Q."""
    opset: int
    """ONNX opset of both graphs."""
    graphs: dict[str, GraphFile]
    """Digest and size of each graph file, by name."""
    versions: dict[str, str]
    """Versions of the libraries that trained and exported the bundle."""
    training: dict[str, Any]
    """Preset, data, seed, steps, config digest and the full config."""
    labels: dict[str, tuple[str | None, ...]] = field(default_factory=dict)
    """Label of each category, by categorical code: from a data set's labels, never used in training, or given
    by hand. Categories with the same label are merged."""
    style_names: dict[str, str | None] = field(default_factory=dict)
    """Name of each continuous code: of the attribute that dominates it, or given by hand."""
    parity: dict[str, Any] = field(default_factory=dict)
    """Greatest difference from torch by tensor, with tolerance and batch sizes."""
    card: dict[str, Any] = field(default_factory=dict)
    """Metrics of the model, and the data they were measured on."""
    ood: OodSpec | None = None
    """Out-of-distribution detection; None if the encoder has no output for it."""
    examples: ExamplesFile | None = None
    """Example images; None if the bundle carries none."""
    precision: Precision = "fp32"
    """Precision of the graphs' computation."""
    drift: dict[str, Any] = field(default_factory=dict)
    """Differences of a bundle of reduced precision from the fp32 one on real images; free form."""

    def label(self, code: str, index: int) -> str | None:
        """Return the label of a category of a categorical code, if it has one."""
        names = self.labels.get(code)
        return names[index] if names else None

    def shown_label(self, code: str, index: int) -> str:
        """Return the label of a category, or ``#3`` where category 3 has none."""
        label = self.label(code, index)
        return f"#{index}" if label is None else label

    @property
    def labelled_code(self) -> str | None:
        """The first categorical code whose categories have labels; None if there is none."""
        return next((code for code in self.latent.categorical_names if any(self.labels.get(code, ()))), None)

    def merged(self, code: str) -> dict[str, list[int]]:
        """Return the categories of a categorical code that share a label, by that label."""
        categories: dict[str, list[int]] = {}
        for index, label in enumerate(self.labels.get(code) or ()):
            if label is not None:
                categories.setdefault(label, []).append(index)
        return {label: indices for label, indices in categories.items() if len(indices) > 1}

    def by_label(self, probabilities: npt.NDArray[np.float32], code: str) -> npt.NDArray[np.float32]:
        """Return, for each category of a categorical code, the probability of its label.

        Args:
            probabilities: ``(N, k)``, as the encoder returns them for that code.
            code: The categorical code.

        Returns:
            ``(N, k)``: categories that share a label have the sum of their probabilities.
        """
        merged = self.merged(code)
        if not merged:
            return probabilities
        summed = probabilities.copy()
        for indices in merged.values():
            summed[:, indices] = probabilities[:, indices].sum(axis=1, keepdims=True)
        return summed

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values in the order of docs/reference/bundle.md."""
        return {
            "schema_version": self.schema_version,
            "bundle_id": self.bundle_id,
            "tool_version": self.tool_version,
            "latent": self.latent.to_dict(),
            "image": self.image.to_dict(),
            "opset": self.opset,
            "graphs": {name: asdict(graph) for name, graph in self.graphs.items()},
            "versions": self.versions,
            "labels": {code: list(names) for code, names in self.labels.items()},
            "style_names": self.style_names,
            **({"ood": self.ood.to_dict()} if self.ood else {}),
            **({"examples": asdict(self.examples)} if self.examples else {}),
            "card": self.card,
            **({} if self.precision == "fp32" else {"precision": self.precision, "drift": self.drift}),
            "parity": self.parity,
            "training": self.training,
        }

    @classmethod
    def from_dict(cls, data: object) -> BundleMetadata:
        """Read the output of :meth:`to_dict`, checking every value.

        Raises:
            BundleError: The schema version is another, or a value is missing or not valid.
        """
        fields = Fields(data, "")
        schema = fields.integer("schema_version", 0, 2**31)
        if schema != SCHEMA_VERSION:
            raise BundleError(
                f"bundle schema {schema} is not supported (this version reads {SCHEMA_VERSION}): "
                f"export again, or use the infogan-tool that wrote it ({fields.text('tool_version')})"
            )
        try:
            latent = LatentSpec.from_dict(fields.table("latent"))
        except LatentError as error:
            raise BundleError(f"metadata latent: {error}") from error
        graphs = {
            name: GraphFile(sha256=item.text("sha256"), bytes=item.integer("bytes", 1, 2**31))
            for name in GRAPH_FILES
            for item in [Fields(fields.table("graphs").get(name), f"graphs.{name}")]
        }
        return cls(
            schema_version=schema,
            bundle_id=fields.text("bundle_id"),
            tool_version=fields.text("tool_version"),
            latent=latent,
            image=ImageSpec.from_dict(fields.table("image")),
            opset=fields.integer("opset", 1, 10_000),
            graphs=graphs,
            versions={str(k): str(v) for k, v in fields.table("versions").items()},
            training=fields.table("training"),
            labels=_read_labels(fields.table("labels"), latent),
            style_names=_read_style_names(fields.table("style_names"), latent),
            parity=fields.table("parity"),
            card=fields.table("card"),
            precision=(
                cast("Precision", fields.choice("precision", get_args(Precision)))
                if "precision" in fields
                else "fp32"
            ),
            drift=fields.table("drift") if "drift" in fields else {},
            ood=(OodSpec.from_dict(fields.table("ood")) if "ood" in fields else None),
            examples=ExamplesFile.from_dict(fields.table("examples")) if "examples" in fields else None,
        )


def data_name(training: Mapping[str, Any]) -> str | None:
    """Return the name of the data set in a bundle's training metadata; the file may be untrusted."""
    data = training.get("data")
    name = data.get("name") if isinstance(data, dict) else None
    return name if isinstance(name, str) else None


def read_metadata(folder: str | Path) -> BundleMetadata:
    """Read and check ``folder/metadata.json``.

    Raises:
        BundleError: It is missing, too large, not JSON, of another schema, or not valid.
    """
    folder = Path(folder)
    path = folder / METADATA_FILE
    try:
        content = read_limited(path, _MAX_METADATA_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        what = (
            "has no metadata.json"
            if folder.is_dir()
            else "is not a folder"
            if folder.exists()
            else "does not exist"
        )
        remedy = "a bundle is a folder made by infogan-tool export"
        if (folder / "config.json").is_file():
            what, remedy = "is a run", f"export it first: infogan-tool export {folder} --out BUNDLE"
        raise BundleError(f"{folder} {what}: {remedy}") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BundleError(str(error)) from error
    try:
        data = parse_json(content)
    except ValueError as error:
        raise BundleError(f"{path} is not JSON: {error}") from error
    try:
        return BundleMetadata.from_dict(data)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


# --- tensors of the two graphs: name -> shape without the batch axis -------------------------------------


def generator_inputs(latent: LatentSpec) -> dict[str, tuple[int, ...]]:
    """Return the inputs of generator.onnx: ``noise`` and ``styles`` float32, ``categories`` int64 indices."""
    widths = {"noise": latent.noise, "categories": len(latent.categorical), "styles": latent.continuous}
    return {name: (width,) for name, width in widths.items() if width}


def generator_outputs(image: ImageSpec) -> dict[str, tuple[int, ...]]:
    """Return the output of generator.onnx: ``images`` float32."""
    return {"images": image.shape}


def encoder_inputs(image: ImageSpec) -> dict[str, tuple[int, ...]]:
    """Return the input of q_encoder.onnx: ``images`` float32, as the generator returns them."""
    return {"images": image.shape}


def encoder_outputs(latent: LatentSpec, *, distance: bool = False) -> dict[str, tuple[int, ...]]:
    """Return the outputs of q_encoder.onnx: ``probabilities`` of all codes, ``style_mean``, ``style_std``.

    Args:
        latent: The latent spec.
        distance: Whether there is also ``distance``, the OOD score.
    """
    widths = {
        "probabilities": latent.num_logits,
        "style_mean": latent.continuous,
        "style_std": latent.continuous,
        "distance": int(distance),
    }
    return {name: (width,) for name, width in widths.items() if width}


# --- untrusted names -------------------------------------------------------------------------------------


def _read_labels(table: dict[str, Any], latent: LatentSpec) -> dict[str, tuple[str | None, ...]]:
    sizes = dict(zip(latent.categorical_names, latent.categorical, strict=True))
    labels: dict[str, tuple[str | None, ...]] = {}
    for code, names in table.items():
        if not isinstance(names, list) or len(names) != sizes.get(code):
            raise BundleError(f"metadata 'labels.{code}' must list a name for each category of the code")
        labels[code] = tuple(None if n is None else checked_text(n, f"labels.{code}") for n in names)
    return labels


def _read_style_names(table: dict[str, Any], latent: LatentSpec) -> dict[str, str | None]:
    for code in table:
        if code not in latent.continuous_names:
            raise BundleError(f"metadata 'style_names.{code}': there is no such continuous code")
    return {c: None if n is None else checked_text(n, f"style_names.{c}") for c, n in table.items()}
