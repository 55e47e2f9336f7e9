"""Latents: noise z and codes c.

spec
    ``LatentSpec``: noise, categorical and continuous codes, and their order in a latent.
sampling
    ``Latents``, ``sample`` from the prior, and ``traversal`` of one code.
"""
