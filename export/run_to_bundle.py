"""Run folder to bundle: build the graphs, prove parity, name the categories, write all at once."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from infogan_tool import __version__
from infogan_tool.export.atomic_folder import atomic_folder, refuse_taken, write_metadata
from infogan_tool.export.evaluation.real_images import load_real_images
from infogan_tool.export.graphs import EncoderGraph, GeneratorGraph
from infogan_tool.export.limitations import with_limitations
from infogan_tool.export.model_card import describe_codes
from infogan_tool.export.onnx_file import OPSET, to_onnx
from infogan_tool.export.ood.fitting import fit_ood
from infogan_tool.export.parity import BATCHES, TOLERANCE, Difference, check_parity
from infogan_tool.export.preprocessing_options import data_name, layout_note, preprocessing_for
from infogan_tool.runtime.bundle.metadata import (
    ENCODER_FILE,
    GENERATOR_FILE,
    SCHEMA_VERSION,
    BundleMetadata,
    GraphFile,
)
from infogan_tool.runtime.errors import DataError, RunError
from infogan_tool.runtime.images.arrays import to_float
from infogan_tool.runtime.storage.atomic import write_atomic
from infogan_tool.train.config.schema import config_digest
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run.checkpoint import load_networks, read_checkpoint
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.stages import stages_of

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.export.evaluation.real_images import RealImages
    from infogan_tool.export.ood.head import DistanceHead
    from infogan_tool.export.preprocessing_options import PreprocessingOptions
    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.train.config.schema import DataConfig, TrainConfig
    from infogan_tool.train.infogan.networks import Networks
    from infogan_tool.train.run.checkpoint import Checkpoint

__all__ = ["ExportOutcome", "export_networks", "export_run"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOutcome:
    """What an export wrote and proved."""

    path: Path
    """The bundle."""
    metadata: BundleMetadata
    """As written."""
    differences: list[Difference]
    """Every comparison with torch."""
    label_note: str
    """Why codes have no names, or an empty text."""
    layout_note: str
    """How the training images differ from what the preprocessing makes, or an empty text."""


def export_run(
    run_path: Path, out: Path, *, force: bool = False, preprocessing: PreprocessingOptions | None = None
) -> ExportOutcome:
    """Export the last checkpoint of a run to the bundle ``out``.

    Args:
        run_path: A run folder.
        out: The bundle's folder; must not exist, unless ``force``.
        force: Replace a bundle (or an empty folder) that is at ``out``.
        preprocessing: How images from elsewhere are preprocessed; None is chosen by the data set.

    Returns:
        What was written. On any error nothing was, and what was at ``out`` is still there.

    Raises:
        RunError: The run or its checkpoint cannot be used.
        UsageError: The preprocessing is not possible for the run's images.
        ParityError: A graph computes something else than torch.
        OutputExistsError: ``out`` is there.
        InUseError: Another process writes ``out``.
        OSError: The bundle cannot be written.
    """
    refuse_taken(out, force=force)
    run = RunFolder.open(run_path)
    config, info = run.read_config(), run.read_info()
    if config.data.size is None or config.data.channels is None:
        raise RunError(f"{run}/config.json does not say the images' size and channels")
    checkpoint = read_checkpoint(run.last_checkpoint)
    networks = build_networks(config, size=config.data.size, channels=config.data.channels)
    load_networks(networks, checkpoint)
    training = _training_record(config, checkpoint, info)
    image = networks.image
    chosen = preprocessing.resolve(image) if preprocessing else preprocessing_for(data_name(training), image)
    networks.image = replace(image, preprocessing=chosen)
    return export_networks(networks, out, force=force, training=training, data=config.data)


def export_networks(
    networks: Networks,
    out: Path,
    *,
    training: dict[str, Any],
    force: bool = False,
    data: DataConfig | None = None,
) -> ExportOutcome:
    """Export networks to the bundle ``out``; see :func:`export_run`.

    Args:
        networks: On the CPU.
        out: The bundle's folder.
        training: JSON-ready record for the metadata.
        force: Replace a bundle that is at ``out``.
        data: What was trained on: to find what the codes mean, and to tell images of another kind. None, or
            images that are not there any more: the codes stay without names and the bundle cannot tell.
    """
    with atomic_folder(out, force=force) as folder:  # from here on no other export writes to it
        metadata, differences, notes = _write(networks, folder, training, data)
    return ExportOutcome(
        path=out, metadata=metadata, differences=differences, label_note=notes[0], layout_note=notes[1]
    )


def _write(
    networks: Networks, folder: Path, training: dict[str, Any], data: DataConfig | None
) -> tuple[BundleMetadata, list[Difference], tuple[str, str]]:
    """Fill the folder of a bundle; return its metadata, every comparison, and the notes of its outcome."""
    networks.eval()
    images, label_note = _real_images(data, networks.image)
    fitted = fit_ood(networks, images.train.images, networks.image.preprocessing) if images else None
    head, ood = fitted or (None, None)
    versions = _versions()
    contract = {
        "latent": networks.latent.to_dict(),
        "image": networks.image.to_dict(),
        "opset": OPSET,
        "tool_version": __version__,
        "versions": versions,
        "training": training,
    }
    bundle_id = _bundle_id(networks, head, contract)
    as_text = json.dumps({"bundle_id": bundle_id, **contract}, sort_keys=True)
    graphs: dict[str, GeneratorGraph | EncoderGraph] = {
        GENERATOR_FILE: GeneratorGraph(networks),
        ENCODER_FILE: EncoderGraph(networks, head),
    }
    contents = {
        name: to_onnx(graph, bundle_id=bundle_id, metadata_json=as_text) for name, graph in graphs.items()
    }
    pairs = {name: (graph, contents[name]) for name, graph in graphs.items()}
    differences = check_parity(networks, pairs, _real_inputs(images, networks.image))
    metadata = BundleMetadata(
        schema_version=SCHEMA_VERSION,
        bundle_id=bundle_id,
        tool_version=__version__,
        latent=networks.latent,
        image=networks.image,
        opset=OPSET,
        graphs={
            n: GraphFile(sha256=hashlib.sha256(c).hexdigest(), bytes=len(c)) for n, c in contents.items()
        },
        versions=versions,
        training=training,
        style_names=dict.fromkeys(networks.latent.continuous_names),
        parity=_parity_record(differences),
        ood=ood,
    )
    for name, content in contents.items():
        write_atomic(folder / name, content)
    write_metadata(folder, metadata)
    if images:
        metadata, label_note = describe_codes(folder, metadata, images)
    metadata = replace(metadata, card=with_limitations(metadata))
    write_metadata(folder, metadata)
    laid_out = layout_note(images.train.images[:, 0].numpy(), networks.image.preprocessing) if images else ""
    return metadata, differences, (label_note, laid_out)


def _real_images(data: DataConfig | None, image: ImageSpec) -> tuple[RealImages | None, str]:
    """Return the images, or None and why there are none."""
    try:
        return (load_real_images(data.source, image, download=False) if data else None), ""
    except DataError as error:
        return None, f"codes have no names: {error}"


def _real_inputs(images: RealImages | None, image: ImageSpec) -> Tensor | None:
    """Return some training images as the encoder is given them."""
    if images is None or len(images.train) < max(BATCHES):
        return None
    some = images.train.images[: max(BATCHES)].permute(0, 2, 3, 1).numpy()
    return torch.from_numpy(to_float(some, image))


def _training_record(config: TrainConfig, checkpoint: Checkpoint, info: dict[str, Any]) -> dict[str, Any]:
    data = info.get("data") if isinstance(info.get("data"), dict) else {}
    values = config.to_dict()
    # A folder's path is its owner's business; the data set's name is what a reader needs.
    values["data"]["source"] = (
        data.get("name", values["data"]["source"]) if data else values["data"]["source"]
    )
    return {
        "preset": config.preset,
        "seed": config.seed,
        "data": data,
        "processes": info.get("processes", 1),
        "steps": checkpoint.header.step,
        "stages": _stages_done(config, checkpoint.header.step, data),
        "config_digest": config_digest(config),
        "config": values,
    }


def _stages_done(config: TrainConfig, steps: int, data: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return name, steps done and batch size of each stage that began."""
    count, left, done = int(data["images"]) if data else 0, steps, []
    for stage in stages_of(config) if count else []:
        mine = min(left, stage.count_steps(config, count))
        left -= mine
        if mine:
            done.append({"name": stage.name, "steps": mine, "batch_size": stage.batch_size_of(config)})
    return done


def _versions() -> dict[str, str]:
    names = ("torch", "onnx", "onnxscript", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _bundle_id(networks: Networks, head: DistanceHead | None, contract: dict[str, Any]) -> str:
    """Return an id that the same weights and contract always give, and no others."""
    digest = hashlib.sha256(json.dumps(contract, sort_keys=True).encode())
    for module in (networks, head) if head is not None else (networks,):
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def _figure(value: float) -> float:
    return float(f"{value:.3g}")


def _parity_record(differences: list[Difference]) -> dict[str, Any]:
    greatest: dict[str, float] = {}
    allowed = {d.tensor: max(o.allowed for o in differences if o.tensor == d.tensor) for d in differences}
    for d in differences:
        key = f"{d.graph}:{d.tensor}"
        greatest[key] = max(greatest.get(key, 0.0), d.max_abs)
    return {
        "tolerance": TOLERANCE,
        "tolerances": {tensor: _figure(most) for tensor, most in allowed.items() if most > TOLERANCE},
        "batches": list(BATCHES),
        "max_abs_difference": {key: _figure(value) for key, value in greatest.items()},
    }
