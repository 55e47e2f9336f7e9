"""Make tests/fixtures: two small bundles of unusual latents, by the real training and the real exporter.

    python tests/make_fixtures.py

They are committed, so that the tests of runtime and command line need no torch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from infogan_tool.export import export_run
from infogan_tool.train import fit, preset

FIXTURES: dict[str, dict[str, Any]] = {
    "tiny": {  # several codes of each kind, normal noise, colour
        "latent": {"noise": 5, "noise_prior": "normal", "categorical": [4, 3], "continuous": 3},
        "data": {"size": 16, "channels": 3},
        "networks": {"base_width": 4, "full_width": 16, "q_width": 8},
    },
    "continuous": {  # no category, no noise, images from -1 to 1
        "latent": {"noise": 0, "categorical": [], "continuous": 2},
        "data": {"size": 8, "channels": 1},
        "networks": {"base_width": 4, "full_width": 16, "q_width": 8, "output": "tanh"},
    },
}
STEPS = 300


def main() -> None:
    """Write every fixture anew."""
    folder = Path(__file__).parent / "fixtures"
    for name, values in FIXTURES.items():
        with tempfile.TemporaryDirectory() as scratch:
            config = preset("paper", **values, schedule={"steps": STEPS})
            run = fit(config, out=Path(scratch) / "run", device="cpu")
            # Bundles that do not say what they know: the one that ships does.
            with patch("infogan_tool.export.run_to_bundle.fit_ood", return_value=None):
                export_run(run, folder / name, force=True)


if __name__ == "__main__":
    main()
