"""Presets, files and flags to one config, and the messages of its errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from infogan_tool.runtime.errors import ConfigError, UsageError
from infogan_tool.runtime.latents.spec import LatentSpec
from infogan_tool.train.config.files import deep_merge, validate_config
from infogan_tool.train.config.presets import DEFAULT_PRESET, PRESETS, resolve_config
from infogan_tool.train.config.schema import config_digest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid_and_survive_json(name: str) -> None:
    config = resolve_config(preset=name)
    assert config.preset == name
    assert validate_config(json.loads(json.dumps(config.to_dict()))) == config


def test_paper_is_the_paper() -> None:
    config = resolve_config(preset="paper")
    assert config.latent == LatentSpec(noise=62, noise_prior="uniform", categorical=(10,), continuous=2)
    assert config.latent.dim == 74
    assert (config.optimizer.d_lr, config.optimizer.g_lr) == (2e-4, 1e-3)
    assert (config.schedule.batch_size, config.schedule.epochs) == (100, 100)
    assert config.augment.affine == 0
    assert config == validate_config({}), "the defaults are the paper's"


def test_flags_win_over_file_over_preset(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text(
        'preset = "paper"\nseed = 5\n[schedule]\nepochs = 7\nbatch_size = 64\n'
        "[latent]\ncategorical = [3, 4]\n"
    )
    config = resolve_config(file=file, flags={"schedule": {"epochs": 2}})
    assert (config.preset, config.seed) == ("paper", 5)
    assert (config.schedule.epochs, config.schedule.batch_size) == (2, 64)
    assert config.latent.categorical == (3, 4)
    assert config.latent.noise == resolve_config(preset="paper").latent.noise, (
        "the rest of a table stays the preset's"
    )
    assert resolve_config(file=file, preset="compact").networks.base_width == 32
    assert resolve_config().preset == DEFAULT_PRESET


def test_length_given_last_counts(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text("schedule.epochs = 7\nclustering.contrastive.steps = 9\n")
    config = resolve_config(file=file)
    assert (config.schedule.kimg, config.schedule.epochs, config.schedule.batch_size) == (None, 7, 128)
    assert config.clustering is not None
    contrastive, refinement = config.clustering.contrastive, config.clustering.refinement
    assert (contrastive.kimg, contrastive.steps, refinement.kimg) == (None, 9, 419.3)
    config = resolve_config(file=file, flags={"schedule": {"kimg": 2.5}})
    assert (config.schedule.kimg, config.schedule.epochs) == (2.5, None)
    assert validate_config(config.to_dict()) == config
    again = deep_merge(config.to_dict(), {"schedule": {"steps": 3}})
    assert validate_config(again).schedule.kimg is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schedule": {"epochs": 3, "steps": 4}}, "'schedule': epochs and steps both set the length"),
        (
            {"objective": {"lambda_continous": 1}},
            r"objective\.lambda_continous.*'objective\.lambda_continuous'",
        ),
        ({"batch_size": 3}, r"unknown key 'batch_size' \(did you mean 'schedule\.batch_size'\?\)"),
        ({"sched": {}}, r"unknown key 'sched' \(did you mean 'schedule'\?\)"),
        ({"latent": {"catagorical": [3]}}, r"catagorical.*'categorical'"),
        ({"latent": {"categorical": [1]}}, "at least 2 categories"),
        ({"latent": {"categorical": [], "continuous": 0}}, "has no code"),
        ({"latent": {"noise_prior": "gauss"}}, "unknown noise_prior 'gauss'"),
        ({"latent": {"noise": -1}}, "at least 0"),
        ({"latent": {"noise": 10**9}}, "at most"),
        ({"optimizer": {"d_lr": 0}}, r"optimizer\.d_lr'.*greater than 0.*not 0"),
        ({"optimizer": {"d_lr": "fast"}}, r"optimizer\.d_lr"),
        ({"objective": {"log_variance_range": [2, -4]}}, "low below high"),
        ({"data": {"channels": 2}}, r"data\.channels"),
        ({"seed": -1}, "seed"),
        ({"schedule": 3}, "schedule"),
        ({"preset": "mnist", "objective": {"information_update": "shared"}}, r"needs networks\.q = 'shared'"),
        (
            {
                "latent": {"categorical": [10], "continuous": 0},
                "networks": {"q": "shared"},
                "objective": {"information_update": "separate_step"},
            },
            "needs a code besides k1",
        ),
        (
            {
                "clustering": None,
                "networks": {"q": "shared", "conditional": False},
                "q_view": {"affine": 0.3, "elastic": 0, "stroke": 0},
            },
            r"q_view needs networks\.q = 'separate'",
        ),
        (
            {
                "clustering": None,
                "networks": {"q": "shared", "conditional": False},
                "q_view": None,
                "q_noise": 0.1,
            },
            r"q_noise needs networks\.q = 'separate'",
        ),
        ({"q_noise": -1}, "q_noise"),
        ({"augment": {"afine": 1}}, r"did you mean 'augment\.affine'"),
        (
            {"preset": "mnist", "clustering": {"grouping": {"restart": 1}}},
            r"did you mean 'clustering\.grouping\.restarts'",
        ),
        ({"clustering": None, "networks": {"conditional": True}}, r"conditional needs clustering"),
        (
            {
                "preset": "dsprites",
                "latent": {"periodic": ["c1"]},
                "objective": {"transformations": ["scale", "turn"]},
            },
            r"'turn' needs a periodic code: latent\.periodic = \['c2'\]",
        ),
        (
            {"preset": "dsprites", "latent": {"periodic": ["c1", "c4"]}},
            r"latent\.periodic to have no code but that of 'turn'",
        ),
        ({"preset": "dsprites", "augment": {"affine": 0.5}}, r"needs augment\.affine, pose and mirror of 0"),
        ({"preset": "cvae", "latent": {"periodic": ["c1"]}}, "latent.periodic"),
        ({"preset": "cvae", "initial_blur": 0.1}, r"initial_blur needs objective\.method = 'adversarial'"),
        ({"latent": {"periodic": ["c3"]}}, "latent 'periodic' has 'c3', which is no continuous code"),
        ({"preset": "mnist", "latent": {"categorical": [10], "continuous": 0}}, "nothing to train where k1"),
    ],
)
def test_error_is_one_line_and_names_the_key(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        resolve_config(flags=values)
    assert "\n" not in str(error.value)


def test_all_errors_are_in_one_message() -> None:
    with pytest.raises(ConfigError, match=r"afine.*epocks"):
        resolve_config(flags={"schedule": {"epocks": 1}, "augment": {"afine": 1}})


@pytest.mark.parametrize(
    "content", ["preset = []", "preset = {a = 1}", "latent = 3", "clustering = 1", "[[data]]"]
)
def test_value_of_another_kind_is_a_usage_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "f.toml"
    file.write_text(content)
    with pytest.raises(UsageError):
        resolve_config(file=file)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        *(("toml", content) for content in ("seed = = 1", "[", "\x00", '"just text"')),
        *(("json", content) for content in ("[1]", "[" * 100_000, "{")),
    ],
)
def test_error_of_a_broken_file_is_one_line(tmp_path: Path, suffix: str, content: str) -> None:
    file = tmp_path / f"f.{suffix}"
    file.write_text(content)
    with pytest.raises(ConfigError, match=rf"f\.{suffix}") as error:
        resolve_config(file=file)
    assert "\n" not in str(error.value)


def test_missing_and_huge_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        resolve_config(file=tmp_path / "nothing.toml")
    huge = tmp_path / "huge.toml"
    huge.write_bytes(b"#" * 2_000_000)
    with pytest.raises(ConfigError, match="larger than"):
        resolve_config(file=huge)


def test_digest_changes_with_any_value() -> None:
    base = resolve_config()
    assert config_digest(base) == config_digest(resolve_config())
    assert config_digest(base) != config_digest(resolve_config(flags={"augment": {"affine": 0.1}}))
