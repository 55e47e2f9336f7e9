"""Adversarial training alone, with the clusters of a finished run, measured without labels.

    python benchmarks/adversarial.py RUN OTHER [--config change.toml] [--seed 100] [--every 2] [--stop 4]
        [--device cuda]

RUN and OTHER are finished runs of preset `mnist`, with different seeds. Adversarial training starts over with
the category encoder of RUN, with any keys of the config changed, and consolidation follows. Every few epochs
10,000 images are generated and a line is printed: processor seconds so far (on a GPU wall seconds); Frechet
distances of generated to real training images in the features of the category encoders of RUN and of OTHER,
which is independent of the training; the share of images whose predicted category is the one that they were
generated with; Pearson's r of the continuous codes and Q's means on images rounded to 8 bits; the greatest
angle between two codes and independent effects, in degrees; for each code the least cosine of the coarse
moments of its effect in one category with those in all; and the mean r within categories of each code and the
image's slant and stroke width. `--stop` ends after so many epochs. No labels are used.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from side_by_side import documented_parser
from torch.nn.functional import cosine_similarity

from infogan_tool.export.evaluation.metrics.attributes import measure_attributes
from infogan_tool.export.evaluation.metrics.correlation import pearson, within_groups
from infogan_tool.export.evaluation.metrics.distances import frechet_distance
from infogan_tool.runtime.inference.device import default_threads
from infogan_tool.train.config.files import deep_merge, read_config_file, validate_config
from infogan_tool.train.data import load_images
from infogan_tool.train.engine.memory_format import to_memory_format
from infogan_tool.train.engine.stage import Session, use_precision
from infogan_tool.train.engine.statistics import evaluation_mode
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.axes import Derivatives, latents_for, measure_derivatives, plane_angle
from infogan_tool.train.infogan.consolidation import ConsolidationStage
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.run.checkpoint import load_networks, read_checkpoint
from infogan_tool.train.run.folder import RunFolder

if TYPE_CHECKING:
    from torch import Tensor

    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.infogan.latents import LatentBatch
    from infogan_tool.train.infogan.q_network import QBranch

SAMPLES = 10_000
CHUNK = 1000


@dataclass(frozen=True)
class Measure:
    """Two category encoders, and their features of the same real images."""

    encoders: tuple[QBranch, ...]
    real: tuple[Tensor, Tensor]

    def line(self, session: Session) -> str:
        """Return the metrics of the exported generator."""
        rng = torch.Generator(session.device).manual_seed(5)
        latent = sample_latents(session.config.latent, SAMPLES, rng)
        generator = session.networks.export_generator.eval()
        with torch.no_grad():
            images = torch.cat([generator(part).float() for part in latent.vector().split(CHUNK)])
            own, other = (features(encoder, images) for encoder in self.encoders)
            logits = self.encoders[0].logits
            assert logits is not None
            categories = logits(own[:, :, None, None]).flatten(1).argmax(dim=1)
        distances = [
            frechet_distance(a.numpy(), b.cpu().numpy()) for a, b in zip(self.real, (own, other), strict=True)
        ]
        recovered = (categories == latent.categories[:, 0]).float().mean().item()
        rounded = (images * 255).round() / 255
        with torch.no_grad(), evaluation_mode(session.networks.q):
            means = (
                torch.cat([session.networks.infer(part).mean for part in rounded.split(CHUNK)]).cpu().numpy()
            )
        pairs = zip(means.T, latent.styles.cpu().numpy().T, strict=True)
        styles = ", ".join(f"{pearson(mean, code):.4f}" for mean, code in pairs)
        return (
            f"distance {distances[0]:.2f}, other's {distances[1]:.2f}, recovered {recovered:.4f}, "
            f"r {styles}, {axes(session)}; {attributes(images, latent)}"
        )


@torch.no_grad()
def features(encoder: QBranch, images: Tensor) -> Tensor:
    """Return an encoder's features ``(N, F)`` of images."""
    return torch.cat([encoder.layers(part).flatten(1) for part in images.split(CHUNK)])


@torch.no_grad()
def derivatives(session: Session, latent: LatentBatch) -> Derivatives:
    """Return the derivatives of the exported generator at latents."""
    generator, spec = session.networks.export_generator.eval(), session.config.latent
    rest = latent.vector()[:, : -spec.continuous].to(session.device)
    return measure_derivatives(
        lambda styles: generator(torch.cat([rest, styles], dim=1)), latent.styles.to(session.device)
    )


def axes(session: Session) -> str:
    """Return the greatest angle of two codes, and the least cosines of the directions of each."""
    spec = session.config.latent
    latent = sample_latents(spec, latents_for(spec.continuous), torch.Generator().manual_seed(6))
    moments = derivatives(session, latent).moments
    pairs = itertools.combinations(range(spec.continuous), 2)
    effects = torch.stack(
        [
            derivatives(session, latent[latent.categories[:, 0] == category]).coarse
            for category in range(spec.categorical[0])
        ]
    )
    cosines = cosine_similarity(effects, effects.mean(dim=0, keepdim=True), dim=2).amin(dim=0)
    return (
        f"angle {max(abs(plane_angle(moments, i, j)[0]) for i, j in pairs):.1f}, "
        f"directions {', '.join(f'{cosine:.2f}' for cosine in cosines.tolist())}"
    )


def attributes(images: Tensor, latent: LatentBatch) -> str:
    """Return the correlation of each code with slant and stroke width."""
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    measured, groups = measure_attributes(pixels), latent.categories[:, 0].cpu().numpy()
    codes = latent.styles.cpu().numpy().T
    return ", ".join(
        f"{name} " + " ".join(f"{within_groups(code, measured[name], groups) or 0:.2f}" for code in codes)
        for name in ("slant", "stroke_width")
    )


def category_encoder(run: Path, images: Tensor) -> QBranch:
    """Return the category encoder of a run on ``images``."""
    folder = RunFolder.open(run)
    networks = build_networks(folder.read_config(), size=images.shape[2], channels=images.shape[1])
    load_networks(networks, read_checkpoint(folder.last_checkpoint))
    return networks.q_category.eval().requires_grad_(False)


def changed(config: TrainConfig, file: Path | None, seed: int) -> TrainConfig:
    """Return a run's config with a file's keys and another seed."""
    values = deep_merge(config.to_dict(), read_config_file(file) if file else {})
    return validate_config({**values, "seed": seed})


def main() -> None:
    """Train, and print the metrics."""
    parser = documented_parser(__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--stop", type=int, help="epochs; default: all")
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)

    config = changed(RunFolder.open(options.run).read_config(), options.config, options.seed)
    images = load_images(config.data.source).images
    use_precision(config.precision)
    networks = build_networks(config, size=images.shape[2], channels=images.shape[1])
    encoders = tuple(category_encoder(run, images).to(device) for run in (options.run, options.other))
    networks.q_category.load_state_dict(encoders[0].state_dict())
    on_gpu = device.type == "cuda"
    networks = to_memory_format(networks.to(device))
    session = Session(config=config, networks=networks, images=images.to(device), cuda_graphs=on_gpu)
    chosen = torch.randperm(len(images), generator=torch.Generator().manual_seed(7))[: 2 * SAMPLES]
    halves = [session.float_images(half.to(device)) for half in chosen.split(SAMPLES)]
    real, others = ([features(encoder, half).cpu() for encoder in encoders] for half in halves)
    measure = Measure(encoders, (real[0], real[1]))
    baseline = [frechet_distance(a.numpy(), b.numpy()) for a, b in zip(real, others, strict=True)]
    print(f"real-vs-real baseline: distance {baseline[0]:.2f}, other's {baseline[1]:.2f}")

    clock = time.perf_counter if on_gpu else time.process_time
    start = clock()
    for make in (AdversarialStage, ConsolidationStage):
        stage = make(session)
        steps = stage.count_steps(config, len(images))
        if options.stop is not None:
            steps = options.stop * stage.steps_per_epoch if make is AdversarialStage else 0
        interval = options.every * stage.steps_per_epoch if make is AdversarialStage else steps
        for index in range(steps):
            stage.step(index)
            if (index + 1) % interval == 0 or index + 1 == steps:
                seconds = clock() - start
                print(
                    f"{stage.name} {index + 1}/{steps}, {seconds:.0f} s: {measure.line(session)}", flush=True
                )


if __name__ == "__main__":
    main()
