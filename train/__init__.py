"""Training (PyTorch): images and a config in, a run folder out.

A package imports those below it, never those above.

=============  ==============================================================================
`run`          a training run: launch, resume, the loop, and what is written to the run folder
`clustering`   the stages that pre-train Q's category encoder on real images, without labels
`infogan`      InfoGAN: objective, networks, one adversarial step, and the stages that train G
`engine`       what every stage uses: its interface, optimizers, EMA, meters, profiling
`config`       every key of the training config, presets, config files
`data`         from ``--data`` to one block of uint8 images
`distributed`  several processes: how a batch is split, and synchronised BatchNorm
=============  ==============================================================================

To learn how InfoGAN is trained, read `infogan`: `objective`, `networks`, `step`.
"""
