"""Properties of a run or bundle as text, from ``run.json`` and the bundle's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infogan_tool.runtime.storage.atomic import printable

if TYPE_CHECKING:
    from infogan_tool.runtime.bundle.metadata import BundleMetadata
    from infogan_tool.runtime.latents.spec import LatentSpec

_MAX_LENGTH: Final = 40
_MAX_SIZES: Final = 6


def shown(value: object) -> str | None:
    """Return a string printable and of at most 40 characters; None for anything else or an empty one."""
    return printable(value, _MAX_LENGTH) if isinstance(value, str) and value else None


def run_facts(info: dict[str, Any]) -> dict[str, str]:
    """Return the device of a run, if ``run.json`` names it."""
    kind, device = shown(info.get("device")), shown(info.get("device_name"))
    if not kind:
        return {}
    threads, processes = info.get("threads"), info.get("processes")
    with_threads = f", {threads} threads" if kind == "cpu" and isinstance(threads, int) else ""
    count = f"{processes} x " if isinstance(processes, int) and processes > 1 else ""
    return {"trained on": count + (f"{kind} ({device}{with_threads})" if device else kind)}


def model_facts(metadata: BundleMetadata) -> dict[str, str]:
    """Return data set, seed, steps, latent spec, image, graphs, id and version of a bundle."""
    training, image, facts = metadata.training, metadata.image, {}
    data = training.get("data")
    if isinstance(data, dict) and (name := shown(data.get("name"))):
        images = data.get("images")
        facts["data"] = name + (f", {images:,} images" if isinstance(images, int) else "")
    for key in ("seed", "steps"):
        value = training.get(key)
        if isinstance(value, int):
            facts[key] = f"{value:,}"
    megabytes = sum(file.bytes for file in metadata.graphs.values()) / 1e6
    return facts | {
        "latent": _describe_latent(metadata.latent),
        "image": f"{image.size} x {image.size}, {'grey' if image.channels == 1 else 'colour'}",
        "graphs": f"{megabytes:.2g} MB, {metadata.precision}",
        "bundle": shown(metadata.bundle_id) or "",
        "exported by": f"infogan-tool {shown(metadata.tool_version)}",
    }


def _describe_latent(latent: LatentSpec) -> str:
    parts = [f"{latent.noise} {latent.noise_prior} noise"] if latent.noise else []
    sizes = latent.categorical
    if len(sizes) > 1 and len(set(sizes)) == 1:
        parts.append(f"{len(sizes)} x {sizes[0]} categories")
    elif sizes:
        more = " ..." if len(sizes) > _MAX_SIZES else ""
        parts.append(f"{' and '.join(map(str, sizes[:_MAX_SIZES]))}{more} categories")
    if latent.continuous:
        parts.append(f"{latent.continuous} continuous")
    return " + ".join(parts)
