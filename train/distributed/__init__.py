"""Training in several processes, on one or several machines.

================  ============================================================================
`process_group`   how a batch is split, and what the processes exchange
`sync_batchnorm`  BatchNorm over the whole batch
`torchrun`        joining the processes that torchrun started
`device`          device, threads and precision of a process
================  ============================================================================
"""
