"""A training that is killed at any moment and resumed ends as an uninterrupted one, to the bit.

And a killed export leaves the old bundle or the new one. One process makes the kills of all these tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Kills = list[dict[str, Any]]
    Crash = Callable[..., Kills]


def check(kills: Kills) -> None:
    assert kills
    for kill in kills:
        assert kill["killed"], kill
        assert kill["same"], kill
        assert "Traceback" not in kill["output"], kill
        if kill["code"]:  # killed after its last checkpoint: all is there, which was just compared
            assert (kill["code"], "is finished (" in kill["output"]) == (1, True), kill["output"]


def test_killed_before_each_change_of_a_file(crashes: dict[str, Kills]) -> None:
    kills = crashes["one_stage"]
    check(kills)
    done = [kill["what"].split()[0] for kill in kills]
    assert {"mkdir", "open", "write", "fsync", "rename", "remove"} == set(done)
    assert sum("rename .last.safetensors" in kill["what"] for kill in kills) == 2
    assert sum("starting over" in kill["output"] for kill in kills) > 10
    assert sum("resuming at step 6" in kill["output"] for kill in kills) > 10


def test_killed_around_each_checkpoint_of_all_stages(crashes: dict[str, Kills]) -> None:
    kills = crashes["all_stages"]
    check(kills)
    assert sum("rename .last.safetensors" in kill["what"] for kill in kills) >= 6


def test_killed_at_random_moments(crashes: dict[str, Kills]) -> None:
    check(crashes["random"])
    assert len(crashes["random"]) == 5


def test_an_export_killed_before_each_change_of_a_file(crashes: dict[str, Kills]) -> None:
    kills = crashes["export"]
    assert kills
    for kill in kills:
        assert kill["killed"], kill
        assert (kill["code"], kill["same"], kill["names"]) == (0, True, ["bundle"]), kill
        assert "Traceback" not in kill["output"], kill
    fresh = [kill["found"] for kill in kills if not kill["before"]]
    replaced = [kill["found"] for kill in kills if kill["before"]]
    assert fresh == sorted(fresh, key=["none", "new"].index)
    assert set(fresh) == {"none", "new"}
    # Between the renames no bundle is in place; the old one is beside it, and the next export restores it.
    assert replaced == sorted(replaced, key=["old", "none", "new"].index)
    assert set(replaced) == {"old", "none", "new"}
    assert replaced.count("none") == 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("config", ["one_stage", "all_stages"])
def test_killed_at_25_random_moments(config: str, crash: Crash, request: pytest.FixtureRequest) -> None:
    kills = crash("random", request.getfixturevalue(config), "25,20160612")
    check(kills)
    print(f"{config}: 25 kills after", ", ".join(kill["what"] for kill in kills))
    assert len({kill["what"] for kill in kills}) >= 3, "not all at one place"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_before_each_change_of_a_file_in_all_stages(crash: Crash, all_stages: Path) -> None:
    kills = crash("train", all_stages, "all")
    check(kills)
    print(f"{len(kills)} kills")
