"""Log a training to trackio: ``fit(config, callbacks=[TrackioLogger("digits")])``."""

from typing import Any

import trackio

from infogan_tool.train import Callback, Run


class TrackioLogger(Callback):
    """Log config and metrics to a project, which ``trackio show`` displays."""

    def __init__(self, project: str) -> None:
        self._project = project

    def on_start(self, run: Run) -> None:
        """Start a run."""
        trackio.init(project=self._project, config=run.config.to_dict())

    def on_report(self, run: Run, record: dict[str, Any]) -> None:  # noqa: ARG002 - the protocol's
        """Log the scalars."""
        trackio.log({name: value for name, value in record.items() if "/" in name}, step=record["step"])

    def on_end(self, run: Run) -> None:  # noqa: ARG002 - the protocol's
        """End the run."""
        trackio.finish()
