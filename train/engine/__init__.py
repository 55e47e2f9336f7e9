"""Code that all stages of a training share.

===================  =====================================================================================
`stage`              :class:`Stage`, the interface between the loop and the parts of a run; `Session`, the
                     state that they share; precision
`optimizer_step`     optimizers, and the one place where parameters move: gradients, check, step
`ema`                exponential moving average of weights
`meters`             means of scalars over a logging interval
`cuda_graph`         a step captured as a CUDA graph
`layers`             convolutions in forms that CPUs compute faster
`statistics`         running statistics of BatchNorm and of spectral normalisation
`registry`           objects that a config names, and the modules that the user names
`memory_format`      channels-last weights, where they are faster
`cpu_memory`         the allocator's settings
`profiling`          ``train --profile``
===================  =====================================================================================
"""
