"""The training config.

=============  ================================================================================
`schema`       :class:`TrainConfig` and its tables: every key, its default and its meaning
`clustering`   the tables of clustering
`tables`       what all tables have in common; :class:`ViewConfig`, the strengths of random augmentation
`view_sets`    named sets of views for clustering
`presets`      named configs, and :func:`resolve_config`: preset, file and flags to one config
`files`        reading TOML and JSON, merging tables, validation and its messages
=============  ================================================================================
"""
