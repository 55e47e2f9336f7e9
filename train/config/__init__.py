"""The training config: schema, presets and config files."""
