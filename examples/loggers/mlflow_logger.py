"""Log a training to MLflow: ``fit(config, callbacks=[MlflowLogger("digits")])``."""

from typing import Any

import mlflow

from infogan_tool.train import Callback, Run


class MlflowLogger(Callback):
    """Log config and metrics to an experiment; ``mlflow.set_tracking_uri`` says where."""

    def __init__(self, experiment: str) -> None:
        self._experiment = experiment

    def on_start(self, run: Run) -> None:
        """Start a run."""
        mlflow.set_experiment(self._experiment)
        mlflow.start_run()
        mlflow.log_dict(run.config.to_dict(), "config.json")

    def on_report(self, run: Run, record: dict[str, Any]) -> None:  # noqa: ARG002 - the protocol's
        """Log the scalars."""
        mlflow.log_metrics({k: v for k, v in record.items() if "/" in k}, step=record["step"])

    def on_end(self, run: Run) -> None:
        """End the run, as killed if the training was not finished."""
        mlflow.end_run("KILLED" if run.interrupted else "FINISHED")
