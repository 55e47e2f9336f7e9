"""Latents: noise z and codes c.

spec
    ``LatentSpec``: noise, categorical and continuous codes, and their order in a latent.
sampling
    ``Latents``, ``sample`` from the prior, ``traversal`` of one code, and combinations of categories.
"""
