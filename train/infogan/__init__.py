"""InfoGAN: objective, networks and update steps. Start with `objective`, `networks` and `step`.

===================  =====================================================================================
`objective`          L_I (:func:`mutual_information_bound`), -log Q(c|x), the adversarial losses
`networks`           :class:`Generator`, :class:`DiscriminatorTrunk` and head, all networks of a run
`q_network`          Q(c|x): the branches of Q and their posterior
`architectures`      the layers of the package's architectures; `residual` has those of residual blocks
`architecture_registry`  architectures by name, with your own, and the check of what they return
`latents`            latents ``(z, c)`` as tensors, sampled from their priors
`step`               one adversarial step: the losses of its updates
`schemes`            update schemes, with your own: which losses each update minimises, what it moves
`axes`               rotation of the continuous codes to independent effects
`transformations`    codes that stand for named transformations
`terms`              further terms of the losses by name, with your own: R1, the Hessian penalty
`augment`            random augmentation of what D and Q see; `interpolation` is its bilinear sampling
`generator_stage`    base class of the stages in which G learns; `sample_sheet` is what they write
`adversarial`        the stage of adversarial training; `restarts`: where it mixes codes
`consolidation`      the stage after it: Q is fitted to the exported generator
`vae`                the stage of a conditional variational autoencoder, for comparison
===================  =====================================================================================
"""
