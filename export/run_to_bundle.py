"""Export a run to a bundle: build the graphs, check parity, name the codes, write everything at once."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from infogan_tool import __version__
from infogan_tool.export.atomic_folder import atomic_folder, refuse_taken, write_metadata
from infogan_tool.export.evaluation.axes import measure_axes
from infogan_tool.export.evaluation.real_images import RealImages, load_real_images, to_nhwc
from infogan_tool.export.examples import choose_examples
from infogan_tool.export.graphs import EncoderGraph, GeneratorGraph
from infogan_tool.export.image_limit import image_limit, load_limit
from infogan_tool.export.limitations import (
    describe_axes,
    describe_limitations,
    describe_progress,
    describe_reversed,
)
from infogan_tool.export.model_card import describe_codes
from infogan_tool.export.onnx_file import OPSET, graph_file, to_onnx
from infogan_tool.export.ood.fitting import MIN_IMAGES, fit_ood
from infogan_tool.export.parity import BATCHES, check_parity, parity_metadata
from infogan_tool.export.preprocessing_options import preprocessing_for, preprocessing_note
from infogan_tool.runtime.bundle.bundle import load_bundle
from infogan_tool.runtime.bundle.example_images import max_examples, write_examples
from infogan_tool.runtime.bundle.metadata import (
    ENCODER_FILE,
    GENERATOR_FILE,
    SCHEMA_VERSION,
    BundleMetadata,
    data_name,
)
from infogan_tool.runtime.errors import DataError, RunError, UsageError
from infogan_tool.runtime.images.arrays import to_float
from infogan_tool.runtime.storage.atomic import printable, write_atomic
from infogan_tool.train.config.schema import config_digest
from infogan_tool.train.data import BUILTIN_NAMES
from infogan_tool.train.data.load import GIVEN_IN_PYTHON
from infogan_tool.train.data.opening import source_digest
from infogan_tool.train.data.source import TrainingData, same_images
from infogan_tool.train.engine.cpu_memory import release_freed_memory
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run.checkpoint import load_networks, read_checkpoint
from infogan_tool.train.run.folder import RunFolder
from infogan_tool.train.run.run import Run
from infogan_tool.train.run.stages import steps_by_stage

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.export.preprocessing_options import PreprocessingOptions
    from infogan_tool.runtime.bundle.bundle import Bundle
    from infogan_tool.runtime.images.spec import ImageSpec
    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.infogan.networks import Networks

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportOutcome:
    """The result of an export."""

    metadata: BundleMetadata
    """As written."""
    notes: tuple[str, ...]
    """For the user: how far an unfinished training came, what is wrong with codes or why they have no names,
    and the :attr:`data_notes`."""
    data_notes: tuple[str, ...]
    """For the user: whether the images are missing or others than those of the training, and whether the
    preprocessing fits them."""


def export_run(
    run: Run | str | Path,
    out: str | Path,
    *,
    force: bool = False,
    data: str | None = None,
    preprocessing: PreprocessingOptions | None = None,
    examples: int = 0,
) -> Bundle:
    """Export the last state of a run to the bundle ``out``, and open it.

    Both graphs are compared with torch, as by ``infogan-tool export``. On any error nothing is written.

    Args:
        run: A run that :func:`~infogan_tool.train.fit` returned, or a run folder.
        out: The bundle's folder; must not exist, unless ``force``.
        force: Replace a bundle (or an empty folder) at ``out``.
        data: The training images, as ``train --data`` names them; None: those of the run, where they still
            exist. They name the codes, and the OOD score is fitted on them.
        preprocessing: How images from elsewhere are preprocessed; None is chosen by the data set.
        examples: Number of real images that the bundle carries, which whoever gets it can see.

    Returns:
        The opened bundle.

    Raises:
        RunError: The run has no saved state, or it cannot be used.
        DataError: ``data`` cannot be used.
        UsageError: The preprocessing is not possible for the run's images.
        ParityError: A graph differs from torch by more than the tolerance.
        OutputExistsError: ``out`` exists.
        InUseError: Another process writes ``out``.
        OSError: The bundle cannot be written.
    """
    outcome = write_bundle(
        run, Path(out), force=force, data=data, preprocessing=preprocessing, examples=examples
    )
    for note in outcome.notes:
        _log.info("note: %s", note)
    return load_bundle(out)


def write_bundle(
    run: Run | str | Path,
    out: Path,
    *,
    force: bool = False,
    data: str | None = None,
    preprocessing: PreprocessingOptions | None = None,
    examples: int = 0,
) -> ExportOutcome:
    """Export a run; arguments and errors are those of :func:`export_run`."""
    refuse_taken(out, force=force)
    if isinstance(run, Run) and run.path is None:
        config, info, checkpoint = run.config, run.info, run.checkpoint
        if checkpoint is None:
            raise RunError("the run has no saved state yet: nothing can be exported")
    else:
        folder = RunFolder.open(Path(run.path or "") if isinstance(run, Run) else Path(run))
        config, info = folder.read_config(), folder.read_info()
        if config.data.size is None or config.data.channels is None:
            raise RunError(f"{folder}/config.json does not record the images' size and channels")
        checkpoint = read_checkpoint(folder.newest_checkpoint)
    assert config.data.size is not None
    assert config.data.channels is not None
    networks = build_networks(config, size=config.data.size, channels=config.data.channels)
    load_networks(networks, checkpoint)
    training = _training_metadata(config, checkpoint.header.step, info)
    del checkpoint  # the optimizers' state is twice as large as the networks
    image = networks.image
    chosen = preprocessing.resolve(image) if preprocessing else preprocessing_for(data_name(training), image)
    networks.image = replace(image, preprocessing=chosen)
    images: str | TrainingData = data or config.data.source
    if isinstance(run, Run) and images == GIVEN_IN_PYTHON:
        images = run.data
    return export_networks(
        networks,
        out,
        force=force,
        training=training,
        data=images,
        needs_data=data is not None,
        examples=examples,
    )


def export_networks(
    networks: Networks,
    out: Path,
    *,
    training: dict[str, Any],
    force: bool = False,
    data: str | TrainingData | None = None,
    needs_data: bool = False,
    examples: int = 0,
) -> ExportOutcome:
    """Export networks to the bundle ``out``; see :func:`export_run`.

    Args:
        networks: On the CPU.
        out: The bundle's folder.
        training: JSON-ready values for the metadata.
        force: Replace a bundle at ``out``.
        data: The training data, or their source, to name the codes and to fit the OOD score; None, or images
            that no longer exist: the codes stay without names and the bundle has no OOD score.
        needs_data: Whether images that do not exist are an error, and may be downloaded.
        examples: Number of real images that the bundle carries.

    Raises:
        DataError: The images cannot be used, and are needed.
        UsageError: There are no images to choose examples from, or too many are requested.
        ParityError, OutputExistsError, InUseError, OSError: As :func:`export_run`.
    """
    with atomic_folder(out, force=force) as folder:  # locked: no other export writes to it
        networks.eval()
        images, data_notes = _real_images(data, networks.image, training.get("data"), is_needed=needs_data)
        _check_examples(examples, images, networks.image)
        fitted = fit_ood(networks, images.train.images[:], networks.image.preprocessing) if images else None
        head, ood = fitted or (None, None)
        notes = []
        if images and fitted is None:
            few = len(images.train) < MIN_IMAGES
            why = f"fewer than {MIN_IMAGES} training images" if few else "no layer of the encoder has a map"
            notes.append(f"no OOD score: {why}")
        if images:  # only the OOD score needs more
            train = images.train.sample(image_limit(networks.image.size, len(images.train)))
            images = replace(images, train=train)
        release_freed_memory()
        versions = {"python": platform.python_version()}
        versions |= {name: version(name) for name in ("torch", "onnx", "onnxscript", "numpy")}
        shared = {
            "latent": networks.latent.to_dict(),
            "image": networks.image.to_dict(),
            "opset": OPSET,
            "tool_version": __version__,
            "versions": versions,
            "training": training,
        }
        bundle_id = _bundle_id(shared, networks, *([head] if head else []))
        metadata_json = json.dumps({"bundle_id": bundle_id, **shared}, sort_keys=True)
        graphs: dict[str, GeneratorGraph | EncoderGraph] = {
            GENERATOR_FILE: GeneratorGraph(networks),
            ENCODER_FILE: EncoderGraph(networks, head),
        }
        contents = {
            name: to_onnx(graph, bundle_id=bundle_id, metadata_json=metadata_json)
            for name, graph in graphs.items()
        }
        pairs = {name: (graph, contents[name]) for name, graph in graphs.items()}
        differences = check_parity(networks, pairs, _encoder_inputs(images, networks.image))
        release_freed_memory()
        metadata = BundleMetadata(
            schema_version=SCHEMA_VERSION,
            bundle_id=bundle_id,
            tool_version=__version__,
            latent=networks.latent,
            image=networks.image,
            opset=OPSET,
            graphs={name: graph_file(content) for name, content in contents.items()},
            versions=versions,
            training=training,
            style_names=dict.fromkeys(networks.latent.continuous_names),
            parity=parity_metadata(differences),
            ood=ood,
        )
        for name, content in contents.items():
            write_atomic(folder / name, content)
        write_metadata(folder, metadata)
        axes = measure_axes(load_bundle(folder, device="cpu"))
        metadata = replace(metadata, card={"axes": axes.to_card()} if axes.effects else {})
        notes += [*describe_progress(training), *describe_axes(axes)]
        if images:
            metadata, note = describe_codes(folder, metadata, images)
            notes += describe_reversed(metadata)
            grey = images.train.images[:][:, 0].numpy()
            notes.append(note)
            data_notes.append(preprocessing_note(grey, networks.image.preprocessing))
        limitations = describe_limitations(metadata, axes=axes)
        metadata = replace(metadata, card=metadata.card | {"limitations": limitations})
        if images and examples:
            chosen = choose_examples(load_bundle(folder, device="cpu"), to_nhwc(images.scored), examples)
            metadata = replace(metadata, examples=write_examples(folder, chosen))
        write_metadata(folder, metadata)
        data_notes = [note for note in data_notes if note]
        notes = [note for note in notes if note]
        return ExportOutcome(metadata=metadata, notes=(*data_notes, *notes), data_notes=tuple(data_notes))


def _real_images(
    data: str | TrainingData | None, image: ImageSpec, trained_on: object, *, is_needed: bool
) -> tuple[RealImages | None, list[str]]:
    """Return the images, and a note if there are none or others than those that the networks were trained on.

    Raises:
        DataError: They cannot be used, and are needed. Others are not downloaded.
    """
    limit = load_limit(image.size)
    if isinstance(data, TrainingData):
        return RealImages(train=data.sample(limit), test=None), []
    if data is None:
        return None, []
    try:
        real = load_real_images(data, image, download=is_needed, limit=limit)
        is_same = _is_same(data, image, trained_on)
        # No test image is needed for the OOD score.
        test = real.test and real.test.sample(image_limit(image.size, limit))
        real = replace(real, test=test)
    except DataError as error:
        if is_needed:
            raise
        return None, [f"no names and no OOD score: {error}"]
    other = (
        f"{printable(data)} does not hold the images of the training: names and OOD score are measured on "
        "those that it holds"
    )
    return real, [] if is_same else [other]


def _is_same(source: str, image: ImageSpec, trained_on: object) -> bool:
    """Return whether the images of ``source`` are those that ``run.json`` describes.

    A built-in data set is known by its name. Without a digest the answer is True.
    """
    recorded: dict[str, object] = trained_on if isinstance(trained_on, dict) else {}
    if source in BUILTIN_NAMES:
        return recorded.get("name", source) == source
    digest = recorded.get("digest")
    if not isinstance(digest, str):
        return True
    return same_images(digest, source_digest(source, size=image.size, channels=image.channels))


def _check_examples(examples: int, images: RealImages | None, image: ImageSpec) -> None:
    if examples and images is None:
        raise UsageError("--examples: the training images of the run cannot be read: name them with --data")
    if examples > max_examples(image):
        raise UsageError(f"--examples {examples}: at most {max_examples(image)} of this size are allowed")


def _encoder_inputs(images: RealImages | None, image: ImageSpec) -> Tensor | None:
    """Return training images as inputs of the encoder; None where there are too few."""
    if images is None or len(images.train) < max(BATCHES):
        return None
    some = images.train.images[: max(BATCHES)].permute(0, 2, 3, 1).numpy()
    return torch.from_numpy(to_float(some, image))


def _training_metadata(config: TrainConfig, steps: int, info: dict[str, Any]) -> dict[str, Any]:
    data, values = info["data"], config.to_dict()
    # The name of the data set, not the path of a folder, which is private.
    values["data"]["source"] = data.get("name", values["data"]["source"])
    stages, left = [], steps
    plan = steps_by_stage(config, data["images"])
    for stage, count in plan:
        done = min(left, count)
        left -= done
        if done:
            stages.append({"name": stage.name, "steps": done, "batch_size": stage.batch_size_of(config)})
    return {
        "preset": config.preset,
        "seed": config.seed,
        "data": data,
        "processes": info.get("processes", 1),
        "steps": steps,
        "planned_steps": sum(count for _, count in plan),
        "stages": stages,
        "config_digest": config_digest(config),
        "config": values,
    }


def _bundle_id(shared: dict[str, Any], *modules: torch.nn.Module) -> str:
    """Return an id that depends on the weights and the shared metadata, and on nothing else."""
    digest = hashlib.sha256(json.dumps(shared, sort_keys=True).encode())
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]
