"""The training backend (PyTorch): images and a config in, a run folder out.

=============  ==================================================================================
`infogan`      InfoGAN: objective, networks, Q, the updates of a step, the adversarial stage.
               Read this first
`clustering`   Q(k1|x) from real images without labels, before adversarial training
`config`       every key with its default, presets, config files
`engine`       what every stage uses: optimizer step, averages, CUDA graphs, profiling
`run`          a run: launch, loop, resume, run folder, checkpoints, progress
`distributed`  several processes on one batch
`data`         from the value of ``--data`` to one block of uint8 images
=============  ==================================================================================
"""
