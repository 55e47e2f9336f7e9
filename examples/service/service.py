"""Encode images over HTTP: the body of a POST to /encode is an image file.

    pip install . fastapi uvicorn
    uvicorn --app-dir examples/service service:app
    curl --data-binary @examples/seven.png http://127.0.0.1:8000/encode

The environment variable ``BUNDLE`` selects another bundle. ``/docs`` describes the requests.
"""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from infogan_tool.runtime import ImageError, load_bundle, load_image

MAX_BYTES = 16 << 20
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}

bundle = load_bundle(os.environ.get("BUNDLE"), threads=1)  # shared by all requests: one thread each
bundle.open_graphs()  # a bundle that does not work ends the start, and the first request is as fast as others
app = FastAPI(title="infogan-tool")


class Category(BaseModel):
    """The most probable category of a categorical code."""

    index: int
    probability: float
    label: str | None
    """Its name, if the bundle names it; in the pretrained bundle the digit."""


class Reading(BaseModel):
    """The codes of an image."""

    categories: dict[str, Category]
    """By the name of the categorical code: k1, k2, ..."""
    styles: dict[str, float]
    """The mean of each continuous code: c1, c2, ..."""
    ood: bool | None
    """Whether the image is unlike the training images; null where the bundle cannot tell."""


@app.post("/encode", openapi_extra=BODY)
async def encode(request: Request) -> Reading:
    """Encode an image file: PNG, JPEG, GIF, BMP, TIFF, WebP or PPM."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > MAX_BYTES:
            raise HTTPException(413, f"an image file has at most {MAX_BYTES:,} bytes")
    try:
        return await run_in_threadpool(read, bytes(content))
    except ImageError as error:
        raise HTTPException(422, str(error)) from error


def read(content: bytes) -> Reading:
    """Return the codes of an image file."""
    posterior = bundle.encode(load_image(content, bundle.image)[None])
    names, labels = bundle.latent.categorical_names, bundle.metadata.labels
    found = zip(names, posterior.categories[0].tolist(), posterior.confidence[0].tolist(), strict=True)
    return Reading(
        categories={
            name: Category(
                index=index, probability=probability, label=labels[name][index] if name in labels else None
            )
            for name, index, probability in found
        },
        styles=dict(zip(bundle.latent.continuous_names, posterior.style_mean[0].tolist(), strict=True)),
        ood=None if posterior.ood is None else bool(posterior.ood[0]),
    )
