"""Metrics as pure functions of arrays; none of them runs a network.

On real images: ``label_matching`` (categories to labels, accuracy), ``clustering`` (NMI, ARI, confusion),
``calibration`` (expected calibration error, temperature).

On generated images: ``information`` (the bound L_I), ``round_trip`` (codes recovered by the encoder),
``purity`` (classes seen by the evaluation classifier), ``distances`` (Frechet and kernel distance),
``coverage`` (density and coverage).

Codes: ``code_usage`` (dead and duplicate codes), ``agreement`` (ranking of several bundles without labels).
On images with known factors: ``factor_information`` (the matrix of information, MIG, modularity),
``fixed_factor`` (FactorVAE, BetaVAE), ``factor_prediction`` (DCI, SAP, explicitness), ``infomec``.

Styles: ``attributes`` (slant, stroke width and others of an image), ``correlation`` (Pearson and Spearman
within groups), ``naming`` (when a code is named after an attribute).
"""
