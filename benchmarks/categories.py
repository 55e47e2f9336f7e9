"""Clustering alone with each set of views: which categories it finds, and what it measures without labels.

    python benchmarks/categories.py DATA --categorical K [--size PIXELS] [--images 60000] [--views NAME ...]
        [--seeds 0 ...] [--groups] [--set KEY=VALUE ...] [--threads 1]

DATA is a value of ``--data``. The clustering stages of preset `mnist` run on all its training images, or on
so many of them at random. A line for each seed and set of views: the information of the grouping in nats
(the log of K at most) and of two views' categories at the end of refinement, which need no labels; and, for
reporting only, the share of the five neighbours that have the image's label, the accuracy of the groups
and that of the category encoder at the end on the same images, each group or category matched to one label;
processor seconds of each stage. ``--groups`` leaves out the refinement.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from side_by_side import documented_parser

from infogan_tool.export.evaluation.metrics.label_matching import match_labels
from infogan_tool.train.clustering.contrastive import ContrastiveStage
from infogan_tool.train.clustering.grouping import GROUPS, GroupingStage
from infogan_tool.train.clustering.neighbours import NEIGHBOURS, NeighboursStage, neighbour_sample
from infogan_tool.train.clustering.refinement import RefinementStage
from infogan_tool.train.config.files import nested, parse_settings
from infogan_tool.train.config.presets import resolve_config
from infogan_tool.train.config.view_sets import VIEW_SETS
from infogan_tool.train.data import load_images
from infogan_tool.train.data.imageset import choose
from infogan_tool.train.distributed.device import fast_precision, select_device
from infogan_tool.train.engine.cpu_memory import keep_freed_memory
from infogan_tool.train.engine.memory_format import to_memory_format
from infogan_tool.train.engine.stage import Session, Stage, use_precision
from infogan_tool.train.infogan.networks import build_networks

if TYPE_CHECKING:
    from infogan_tool.train.config.schema import TrainConfig
    from infogan_tool.train.data import ImageSet

CHUNK = 500
STAGES = (ContrastiveStage, NeighboursStage, GroupingStage, RefinementStage)
INFORMATION: dict[type[Stage], str] = {GroupingStage: "MI/neighbours", RefinementStage: "MI/views"}


@torch.no_grad()
def encoded(session: Session, sample: torch.Tensor) -> torch.Tensor:
    """Return the category of each image of the sample ``(n,)``."""
    encoder, parts = session.networks.q_category.eval(), session.image_chunks(CHUNK, sample)
    return torch.cat([encoder(part).logits.argmax(dim=1) for part in parts])


def run(config: TrainConfig, data: ImageSet, stages: tuple[type[Stage], ...]) -> None:
    """Run the stages and print their metrics."""
    torch.manual_seed(config.seed)
    networks = build_networks(config, size=data.images.shape[2], channels=data.images.shape[1])
    session = Session(config=config, networks=to_memory_format(networks), images=data.images)
    sample, count = neighbour_sample(session), config.latent.categorical[0]
    labels = None if data.labels is None else data.labels[sample]
    words, seconds = [], []
    for kind in stages:
        start = time.process_time()
        stage = kind(session)
        steps = stage.count_steps(config, len(data))
        for index in range(steps):
            stage.step(index)
            if steps - index == max(steps // 20, 1):
                stage.scalars()  # starts a new mean, of the last steps
        scalars = stage.scalars()
        stage.finish()
        seconds.append(f"{time.process_time() - start:.0f}")
        if kind in INFORMATION:
            words.append(f"{INFORMATION[kind]} {scalars[INFORMATION[kind]]:.3f}")
        if kind is NeighboursStage and labels is not None:
            near = labels[session.artifacts[NEIGHBOURS].long()]
            words.append(f"neighbours {(near == labels[:, None]).float().mean():.3f}")
        if kind in INFORMATION and labels is not None:
            grouped = kind is GroupingStage
            found = session.artifacts[GROUPS][sample] if grouped else encoded(session, sample)
            words.append(f"ACC {match_labels(found.numpy(), labels.numpy(), count).accuracy:.3f}")
    print(
        f"seed {config.seed}, {config.clustering.views}: {', '.join(words)}, s {' + '.join(seconds)}",
        flush=True,
    )


def main() -> None:
    """Run each set of views on the data."""
    parser = documented_parser(__doc__)
    parser.add_argument("data")
    parser.add_argument("--categorical", type=int, default=10)
    parser.add_argument("--size", type=int)
    parser.add_argument("--images", type=int)
    parser.add_argument("--views", nargs="+", choices=tuple(VIEW_SETS), default=tuple(VIEW_SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0,))
    parser.add_argument("--groups", action="store_true")
    parser.add_argument("--set", nargs="+", default=(), metavar="KEY=VALUE")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    precision = fast_precision(select_device("cpu", options.threads))
    keep_freed_memory()
    use_precision(precision)

    data = load_images(options.data, size=options.size)
    if options.images is not None:
        data = data.subset(choose(len(data), options.images))
    for seed in options.seeds:
        for views in options.views:
            settings = [f"seed={seed}", f"precision={precision}", f'clustering.views="{views}"']
            settings += [f"latent.categorical=[{options.categorical}]", *options.set]
            values = {key: value for key, (value, *_) in parse_settings(settings, option="--set").items()}
            run(resolve_config(flags=nested(values)), data, STAGES[:-1] if options.groups else STAGES)


if __name__ == "__main__":
    main()
