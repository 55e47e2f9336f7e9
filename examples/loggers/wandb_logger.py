"""Log a training to Weights & Biases: ``fit(config, callbacks=[WandbLogger(project="digits")])``."""

from typing import Any

import wandb

from infogan_tool.train import Callback, Run


class WandbLogger(Callback):
    """Send config and metrics; the options are those of ``wandb.init``, such as ``mode="offline"``."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - wandb's
        self._options = options

    def on_start(self, run: Run) -> None:
        """Start a run."""
        self._run = wandb.init(config=run.config.to_dict(), **self._options)

    def on_report(self, run: Run, record: dict[str, Any]) -> None:  # noqa: ARG002 - the protocol's
        """Log the scalars."""
        self._run.log({name: value for name, value in record.items() if "/" in name}, step=record["step"])

    def on_end(self, run: Run) -> None:
        """End the run, as failed if the training was not finished."""
        self._run.finish(exit_code=int(run.interrupted))
