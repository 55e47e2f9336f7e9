"""Further loss terms, the package's and your own, and update schemes of your own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from adversarial_steps import make_step
from torch import Tensor
from torch.nn.utils import parametrize

from infogan_tool.runtime.errors import ConfigError, NonFiniteError, UsageError
from infogan_tool.train.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from infogan_tool.train.engine.stage import Session
from infogan_tool.train.infogan.adversarial import AdversarialStage
from infogan_tool.train.infogan.latents import sample_latents
from infogan_tool.train.infogan.networks import build_networks
from infogan_tool.train.infogan.schemes import Update, check_names, check_updates, register_scheme
from infogan_tool.train.infogan.step import AdversarialStep, metric_names
from infogan_tool.train.infogan.terms import TermInputs, active_terms, r1, register_term

if TYPE_CHECKING:
    from collections.abc import Callable

    from infogan_tool.train.config.schema import TrainConfig


def run(config: TrainConfig, real: Tensor, steps: int = 1) -> tuple[AdversarialStep, dict[str, float]]:
    step, rng = make_step(config)
    for _ in range(steps):
        scalars = step.step(real, sample_latents(config.latent, len(real), rng))
    return step, dict(zip(metric_names(config), scalars.tolist(), strict=True))


def check(config: TrainConfig, processes: int = 1) -> None:
    networks = build_networks(config, size=28, channels=1)
    check_updates(config, networks, ProcessGroup(size=processes) if processes > 1 else SINGLE_PROCESS)


@pytest.fixture
def real(mnist: Tensor) -> Tensor:
    return mnist[:16].float() / 255


@register_term("tested", update="G")
def brightness(inputs: TermInputs) -> Tensor:
    return inputs.fake.mean()


def test_an_own_term_is_logged_and_moves_its_update_only(
    small: Callable[..., TrainConfig], real: Tensor
) -> None:
    ours, values = run(small({"objective": {"terms": {"tested": 3.0}}}), real)
    theirs, _ = run(small(), real)
    assert 0.3 < values["Loss/G/tested"] < 0.7
    pairs = zip(ours.networks.named_parameters(), theirs.networks.parameters(), strict=True)
    changed = {name.split(".")[0] for (name, one), other in pairs if not torch.equal(one, other)}
    assert changed == {"generator"}
    _, later = run(small({"objective": {"terms": {"tested": 3.0}}, "optimizer": {"g_lr": 1e-2}}), real, 10)
    assert later["Loss/G/tested"] < values["Loss/G/tested"] - 0.05


def test_weight_0_computes_nothing(small: Callable[..., TrainConfig]) -> None:
    assert active_terms(small({"objective": {"terms": {"tested": 0, "r1": {"weight": 0}}}})) == []


def test_terms_are_due_every_so_many_steps(small: Callable[..., TrainConfig], mnist: Tensor) -> None:
    terms = {"r1": {"weight": 1.0, "every": 3}, "tested": {"weight": 1.0, "every": 2}}
    config = small({"objective": {"terms": terms}})
    stage = AdversarialStage(
        Session(config=config, networks=build_networks(config, size=28, channels=1), images=mnist)
    )
    found = []
    for index in range(5):
        stage.step(index)
        found.append(stage.scalars())
        stage.meters.reset()
    assert [record["Loss/D/r1"] > 0 for record in found] == [True, False, False, True, False]
    assert [record["Loss/G/tested"] > 0 for record in found] == [True, False, True, False, True]
    assert found[0]["Loss/G/tested"] == pytest.approx(2 * 0.5, abs=0.4), "stands for two steps"


def test_r1_is_half_the_squared_gradient_on_real_images(
    small: Callable[..., TrainConfig], real: Tensor
) -> None:
    config = small()
    networks = build_networks(config, size=28, channels=1).eval()
    latent = sample_latents(config.latent, len(real), torch.Generator().manual_seed(0))
    progress = torch.ones(())
    inputs = TermInputs(
        real, real, latent, networks=networks, config=config, rng=torch.Generator(), progress=progress
    )
    value = r1(inputs)
    gradients = torch.func.vmap(torch.func.grad(lambda image: networks.discriminate(image[None])[0]))(real)
    torch.testing.assert_close(value, gradients.square().sum(dim=(1, 2, 3)).mean() / 2)
    value.backward()
    assert networks.trunk.layers[0].weight.grad.abs().sum() > 0


def test_r1_is_that_of_a_d_that_is_told_an_angle(small: Callable[..., TrainConfig], real: Tensor) -> None:
    config = small(
        {
            "networks": {"conditional": True},
            "clustering": {},
            "latent": {"periodic": ["c1"]},
            "objective": {"information_update": "shared", "transformations": ["turn"]},
        }
    )
    networks = build_networks(config, size=28, channels=1).eval()
    latent = sample_latents(config.latent, len(real), torch.Generator().manual_seed(0))
    kinds = latent.categories[:, 0]
    values = [
        r1(
            TermInputs(
                real,
                real,
                latent,
                kinds,
                networks=networks,
                config=config,
                rng=torch.Generator(),
                progress=torch.tensor(progress),
            )
        )
        for progress in (0.0, 1.0)
    ]

    def logits(images: Tensor, share: float) -> Tensor:
        angle = torch.pi * networks.infer_styles(real)[:, 0].detach()
        return networks.discriminate(images, kinds, share * torch.stack([angle.cos(), angle.sin()], 1))

    for value, share in zip(values, (0.0, 1.0), strict=True):
        images = real.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(logits(images, share).sum(), images)
        torch.testing.assert_close(value, gradient.square().sum(dim=(1, 2, 3)).mean() / 2)
    assert not torch.allclose(*values, rtol=1e-3), "the angle counts"


def test_terms_update_no_statistics(small: Callable[..., TrainConfig], real: Tensor) -> None:
    networks = {"spectral_norm": True, "architecture": "residual"}
    steps = []
    for weight in (0.0, 1e-30):  # too small to change a weight
        terms = {"r1": {"weight": weight, "every": 1}, "tested": weight}
        step, _ = run(small({"networks": networks, "objective": {"terms": terms}}), real)
        steps.append(dict(step.networks.named_buffers()))
    assert all(torch.equal(one, other) for one, other in zip(*(s.values() for s in steps), strict=True))


def returns(value: object) -> Callable[[TermInputs], Any]:
    def term(inputs: TermInputs) -> Any:  # noqa: ANN401
        return value(inputs) if callable(value) else value

    return term


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.0, "returns float, not one number with a gradient"),
        (lambda i: i.fake.flatten(1).mean(dim=1), r"returns a tensor of shape \(4,\), not one number"),
        (lambda i: i.real.mean(), "without a gradient"),
        (lambda i: i.fake @ i.real.mT[:, :, :3], "wrong: RuntimeError"),
        (lambda _: 1 / 0, "wrong': ZeroDivisionError: division by zero"),
    ],
)
def test_a_wrong_term_is_told_before_training(
    small: Callable[..., TrainConfig], value: object, message: str
) -> None:
    register_term("wrong")(returns(value))
    config = small({"objective": {"terms": {"wrong": 1.0}}})
    with pytest.raises(UsageError, match=message.replace("wrong: ", "wrong': ")) as error:
        check(config)
    assert "\n" not in str(error.value)


def test_a_term_of_q_gets_fakes_with_the_gradient_of_the_update_of_g_only(
    small: Callable[..., TrainConfig], real: Tensor
) -> None:
    register_term("fakes", update="Q")(brightness)
    register_term("inferred", update="Q")(lambda inputs: inputs.networks.infer(inputs.fake).mean.mean())
    for scheme in ("q_head", "shared", "separate_step"):
        config = small({"objective": {"terms": {"inferred": 1.0}, "information_update": scheme}})
        check(config)
        assert run(config, real)[1]["Loss/Q/inferred"]
        config = small({"objective": {"terms": {"fakes": 1.0}, "information_update": scheme}})
        if scheme == "q_head":
            check(config)
            continue
        for compute in (check, lambda config: run(config, real)):
            with pytest.raises(UsageError, match="without a gradient"):
                compute(config)


def test_r1_in_several_processes_needs_a_d_without_batchnorm(small: Callable[..., TrainConfig]) -> None:
    config = small({"objective": {"terms": {"r1": 1.0}}})
    check(config)
    with pytest.raises(UsageError, match="needs a D without BatchNorm"):
        check(config, processes=2)
    check(small({"objective": {"terms": {"r1": 1.0}}, "networks": {"spectral_norm": True}}), processes=2)


def test_a_term_that_is_not_finite_is_named(small: Callable[..., TrainConfig], real: Tensor) -> None:
    register_term("infinite", update="D")(lambda inputs: inputs.networks.discriminate(inputs.real).sum() / 0)
    with pytest.raises(NonFiniteError, match="Loss/D/infinite"):
        run(small({"objective": {"terms": {"infinite": 1.0}}}), real)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"tessed": 1.0}, "there is no loss term 'tessed' .did you mean 'tested'"),
        ({"hessian": 1.0}, "objective.hessian_penalty"),
        ({"direction": 1.0}, "objective.direction_penalty"),
        ({"os:system": 1.0}, r"'os:system': register yours by register_term.*--import MODULE"),
    ],
)
def test_unknown_terms_are_refused(
    small: Callable[..., TrainConfig], terms: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        active_terms(small({"objective": {"terms": terms}}))


@pytest.mark.parametrize(
    "terms", [{"r1": -1}, {"r1": "much"}, {"r1": {"weight": 1, "each": 2}}, {"r1": {}}, {"a b": 1}]
)
def test_malformed_terms_are_refused(small: Callable[..., TrainConfig], terms: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"objective.terms"):
        small({"objective": {"terms": terms}})


# --- schemes -----------------------------------------------------------------------------------------------

D = Update("D", ("L_D",), ("trunk", "d_head"), "d_lr")
G = Update("G", ("L_G", "L_I"), ("generator", "q"), "g_lr")


def test_an_own_scheme_updates_d_twice(small: Callable[..., TrainConfig], real: Tensor) -> None:
    register_scheme("d-twice", D, D, G)
    step, record = run(small({"objective": {"information_update": "d-twice"}}), real)
    counts = {name: int(next(iter(o.state.values()))["step"]) for name, o in step.optimizers.items()}
    assert counts == {"D": 2, "G": 1}
    assert record["Loss/D/adv"] > 0


def test_a_scheme_is_not_named_as_an_attribute_of_a_module(small: Callable[..., TrainConfig]) -> None:
    with pytest.raises(UsageError, match=r"'os:system': register yours by register_scheme.*--import MODULE"):
        check_names(small({"objective": {"information_update": "os:system"}}))


def test_an_update_without_trainable_parameters_is_refused(small: Callable[..., TrainConfig]) -> None:
    updates = Update("G", ("L_G",), ("generator",), "g_lr"), Update("L_I", ("L_I",), ("q",), "g_lr")
    register_scheme("q-alone", D, *updates)
    changes = {"objective": {"information_update": "q-alone"}, "latent": {"continuous": 0}}
    check(small(changes))
    with pytest.raises(UsageError, match="nothing to train in update L_I: all parameters of q are frozen"):
        check(small(changes | {"clustering": {}}))


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        ((D,), "one update G"),
        ((G, G, D), "one update G"),
        ((D, Update("G", ("L_G",), ("generator",), "g_lr")), "an update with L_I that moves q"),
        ((D, Update("G", ("L_I",), ("generator",), "g_lr")), "L_D and L_I in D"),
        ((Update("D", ("L_G",), ("trunk",), "d_lr"), G), "L_D and L_I in D"),
        ((Update("D", ("L_D",), (), "d_lr"), G), "parameters of generator"),
        ((D, Update("D", ("L_D",), ("trunk",), "d_lr"), G), "one optimizer"),
        (
            (D, Update("L_I", ("L_I",), ("generator", "q"), "g_lr"), G),
            "no update that moves generator before",
        ),
    ],
)
def test_impossible_schemes_are_refused(updates: tuple[Update, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        register_scheme("impossible", *updates)


# --- spectral normalisation --------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["infogan", "residual"])
def test_spectral_norm_bounds_every_weight_of_d_only(
    small: Callable[..., TrainConfig], real: Tensor, architecture: str
) -> None:
    config = small({"networks": {"spectral_norm": True, "architecture": architecture}})
    step, record = run(config, real, steps=20)
    networks = step.networks.eval()
    bounded = [part for part in networks.modules() if parametrize.is_parametrized(part)]
    inside = [*networks.trunk.modules(), *networks.d_head.modules()]
    assert bounded
    assert all(part in inside for part in bounded)
    norms = [torch.linalg.matrix_norm(part.weight.flatten(1), 2).item() for part in bounded]
    assert all(0.8 < norm < 1.2 for norm in norms), norms
    assert not [part for part in networks.trunk.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert record["Loss/D/adv"] > 0
