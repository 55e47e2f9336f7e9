"""Training from Python: data of all kinds, resuming, callbacks, threads, event loops and forks."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from stopping import StopAfter
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from infogan_tool.runtime.errors import (
    CallbackError,
    ConfigError,
    DataError,
    NonFiniteError,
    RunError,
    UsageError,
)
from infogan_tool.runtime.images.files import read_image
from infogan_tool.runtime.images.spec import ImageSpec
from infogan_tool.train import Callback, JsonLinesLogger, Run, RunOptions, TensorBoardLogger, fit, preset
from infogan_tool.train.data.given import DatasetReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from infogan_tool.train import TrainConfig


@pytest.fixture(scope="module")
def tiny() -> TrainConfig:
    """12 steps of 50 images."""
    return preset(
        "paper",
        networks={"base_width": 2, "full_width": 8, "q_width": 8},
        augment={"affine": 0.5},
        schedule={"batch_size": 50, "steps": 12, "log_every": 5},
    )


@pytest.fixture(scope="module")
def images(mnist: Tensor) -> Tensor:
    return mnist[:300]


def numbers(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in r.items() if not k.startswith("Timing/")} for r in run.records]


def weights(run: Run) -> list[Tensor]:
    return [value.cpu() for value in run.networks.state_dict().values()]


def train(config: TrainConfig, data: Any = None, **options: Any) -> Run:  # noqa: ANN401 - fit's
    return fit(config, data, device="cpu", threads=1, **options)


@pytest.fixture(scope="module")
def whole(tiny: TrainConfig, images: Tensor) -> Run:
    """An uninterrupted run."""
    return train(tiny, images)


class Items:
    """A data set whose item number ``index`` is ``make(index)``."""

    def __init__(self, make: Callable[[int], object], count: int = 300) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> object:
        return self.make(index)


def test_run_has_metrics_networks_and_state(tiny: TrainConfig, images: Tensor, tmp_path: Path) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    run = train(tiny, images.numpy())
    assert (run.step, run.total_steps, run.interrupted, run.path) == (12, 12, False, None)
    assert run.metrics["step"].tolist() == [5, 10, 12]
    assert np.isfinite(run.metrics["MI/lower_bound"]).all()
    generated = run.generate(run.traverse("c1").latents)
    assert generated.shape == (100, 1, 28, 28)
    assert run.infer(generated).logits.shape == (100, 10)
    with torch.no_grad():
        assert run.generator(torch.zeros(2, run.config.latent.dim)).shape == (2, 1, 28, 28)
    assert not run.networks.training
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state), "the caller's random numbers"
    written = train(tiny, images, out=tmp_path / "run")
    assert numbers(written) == numbers(run)
    assert len((tmp_path / "run/metrics.jsonl").read_text().splitlines()) == 3
    for steps in (12, 13):
        assert json.loads((tmp_path / "run/run.json").read_text())["stages"] == [
            {"name": "adversarial", "steps": steps}
        ]
        if steps == 12:
            fit(data=images, resume=tmp_path / "run", schedule={"steps": 13}, device="cpu", threads=1)


def test_all_kinds_of_data_give_the_same_run(
    tiny: TrainConfig, images: Tensor, whole: Run, tmp_path: Path
) -> None:
    expected = numbers(whole)
    for number, image in enumerate(images[:, 0].numpy()):
        Image.fromarray(image).save(tmp_path / f"{number:03d}.png")
    kinds: dict[str, Any] = {
        "NHWC": images.permute(0, 2, 3, 1).numpy(),
        "NHW": images[:, 0],
        "float": images.numpy() / 255,
        "dataset": Items(lambda i: (images[i], 7)),
        "pillow": Items(lambda i: {"image": Image.fromarray(images[i, 0].numpy())}),
        "folder": tmp_path,
    }
    for name, data in kinds.items():
        assert numbers(train(tiny, data)) == expected, name
    for name in ("NHW", "dataset", "folder"):
        streamed = train(tiny, kinds[name], options=RunOptions(stream=True))
        assert numbers(streamed) == expected, f"{name}, streamed"


@pytest.mark.parametrize("stream", [True, False])
def test_a_run_can_be_resumed_whichever_way_its_images_are_read(
    tiny: TrainConfig, images: Tensor, whole: Run, tmp_path: Path, *, stream: bool
) -> None:
    first, other = RunOptions(stream=stream), RunOptions(stream=not stream)
    cut = train(tiny, images, out=tmp_path / "run", callbacks=[StopAfter(7)], options=first)
    assert cut.interrupted
    resumed = fit(data=images, resume=tmp_path / "run", device="cpu", threads=1, options=other)
    assert numbers(resumed) == numbers(whole)
    with pytest.raises(RunError, match="of a run on other images"):
        fit(data=images.flip(0), resume=tmp_path / "run", schedule={"steps": 13}, device="cpu", options=other)


@pytest.mark.parametrize("mode", ["I;16", "F", "RGBA", "turned"])
def test_wide_pictures_of_a_data_set_are_converted_as_files_are(
    tiny: TrainConfig, tmp_path: Path, mode: str
) -> None:
    values = np.linspace(0, 1, 20 * 30).reshape(20, 30)
    exif = Image.Exif()
    if mode == "I;16":
        picture = Image.fromarray((65535 * values).astype(np.uint16))
    elif mode == "F":
        picture = Image.fromarray(values.astype(np.float32))
    elif mode == "RGBA":
        picture = Image.fromarray((255 * np.stack([values] * 4, axis=2)).astype(np.uint8))
    else:
        picture = Image.fromarray((255 * values).astype(np.uint8))
        exif[0x0112] = 6
    file = tmp_path / f"0.{'tif' if mode == 'F' else 'png'}"
    picture.save(file, exif=exif)
    opened = Image.open(file)
    opened.load()
    channels = 3 if mode == "RGBA" else 1
    expected = read_image(file, ImageSpec(size=16, channels=channels, low=0.0, high=1.0))
    found = DatasetReader(Items(lambda _: opened, 1), size=16, channels=channels).read(0)
    difference = np.abs(found.permute(1, 2, 0).numpy().astype(int) - expected)
    assert difference.max() <= (
        4 if mode == "RGBA" else 1
    )  # transparency is removed before or after resizing


@pytest.mark.parametrize(("cut", "with_folder"), [(1, True), (5, False), (7, True), (7, False)])
def test_resumed_run_is_the_same_to_the_bit(
    tiny: TrainConfig, images: Tensor, whole: Run, tmp_path: Path, cut: int, *, with_folder: bool
) -> None:
    out = tmp_path / "run" if with_folder else None
    part = train(tiny, images, out=out, callbacks=[StopAfter(cut)])
    assert (part.step, part.interrupted) == (cut, True)
    resumed = fit(resume=part, device="cpu", threads=1)
    assert numbers(resumed) == numbers(whole)
    assert all(torch.equal(*pair) for pair in zip(weights(resumed), weights(whole), strict=True))
    with pytest.raises(RunError, match="is finished"):
        fit(resume=resumed, device="cpu", threads=1)
    assert fit(resume=resumed, schedule={"steps": 14}, device="cpu", threads=1).step == 14


def test_exception_in_a_callback_keeps_the_state(
    tiny: TrainConfig, images: Tensor, whole: Run, tmp_path: Path
) -> None:
    class Broken(Callback):
        def on_step(self, run: Run) -> None:
            if run.step == 7:
                raise ValueError("no space\nleft")

    log = JsonLinesLogger(tmp_path / "log.jsonl")
    with pytest.raises(CallbackError) as caught:
        train(tiny, images, callbacks=[Broken(), log])
    assert str(caught.value) == "callback Broken failed in on_step after step 7: ValueError: no space left"
    assert isinstance(caught.value.run, Run)
    assert numbers(fit(resume=caught.value.run, device="cpu", threads=1)) == numbers(whole)
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1


def test_a_callback_may_generate_and_infer(tiny: TrainConfig, images: Tensor, whole: Run) -> None:
    class Watch(Callback):
        def on_step(self, run: Run) -> None:
            shown = run.generate(run.sample(8, seed=run.step))
            assert run.networks.training
            assert run.infer(shown).mean.shape == (8, 2)

    watched = train(tiny, images, callbacks=[Watch()])
    assert numbers(watched) == numbers(whole)
    assert all(torch.equal(*pair) for pair in zip(weights(watched), weights(whole), strict=True))


def test_loggers_write_every_report(tiny: TrainConfig, images: Tensor, tmp_path: Path) -> None:
    loggers = [TensorBoardLogger(tmp_path / "board"), JsonLinesLogger(tmp_path / "log.jsonl")]
    run = train(tiny, images, callbacks=loggers)
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == run.records
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    names = [name for name in run.records[0] if "/" in name]
    assert set(events.Tags()["scalars"]) == set(names)
    for name in names:
        written = {event.step: event.value for event in events.Scalars(name)}
        assert written == pytest.approx({record["step"]: record[name] for record in run.records}), name


@pytest.mark.parametrize("method", ["on_start", "on_stage", "on_report", "on_checkpoint", "on_end"])
def test_every_method_is_called_and_named(tiny: TrainConfig, images: Tensor, method: str) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("x")

    callback = type("Mine", (Callback,), {method: broken})()
    with pytest.raises(CallbackError, match=f"callback Mine failed in {method} after step") as caught:
        train(tiny, images, callbacks=[callback])
    assert caught.value.run.checkpoint is not None


def test_wrong_callbacks_are_refused(tiny: TrainConfig, images: Tensor) -> None:
    wrong = type("Mine", (), {"on_reports": print})()
    with pytest.raises(UsageError, match=r"Mine has a method on_reports \(did you mean 'on_report'\?\)"):
        train(tiny, images, callbacks=[wrong])
    with pytest.raises(UsageError, match="print is not a callback"):
        train(tiny, images, callbacks=[print])
    with pytest.raises(UsageError, match="put a single one in brackets"):
        train(tiny, images, callbacks=Callback())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            Items(lambda i: np.zeros((28 + i // 250 * 4,) * 2, np.uint8)),
            "image 250 is 32 x 32, image 0 is 28",
        ),
        (Items(lambda _: np.full((28, 28), 1.5)), "values are from 1.5 to 1.5: use float from 0 to 1"),
        (Items(lambda _: np.full((28, 28), np.nan)), "values are from nan to nan"),
        (Items(lambda i: None if i == 3 else np.zeros((28, 28), np.uint8)), "image 3 is a NoneType"),
        (Items(lambda _: (), 5), "image 0 is a NoneType"),
        (Items(lambda i: 1 // (i - 4) * np.zeros((28, 28))), "image 4: ZeroDivisionError"),
        (Items(lambda i: i, 0), "Items: there is no image"),
        (np.zeros((0, 28, 28), np.uint8), "there is no image"),
        (np.zeros((4, 28, 28), np.int64), "the type is int64"),
        (np.zeros((4, 2, 28, 28), np.uint8), "C being 1 or 3"),
        (np.zeros((4, 28, 20), np.uint8), "not square"),
        (Items(lambda _: {"img": 0}), "image 0 is a table without the key 'image'"),
        (torch.zeros(4, 28, 28).to_sparse(), "the tensor is sparse, quantized or on device meta"),
        (torch.zeros(4, 28, 28, device="meta"), "the tensor is sparse, quantized or on device meta"),
    ],
)
@pytest.mark.parametrize("stream", [None, True])
def test_faulty_data_is_one_clear_error(
    tiny: TrainConfig, data: object, message: str, stream: object
) -> None:
    with pytest.raises(DataError, match=message.replace("(", r"\(")) as caught:
        train(tiny, data, options=RunOptions(stream=bool(stream) or None))
    assert "\n" not in str(caught.value)
    if stream is None:  # all images are read before the training
        assert not multiprocessing.active_children()


def test_wrong_arguments(tiny: TrainConfig, images: Tensor, whole: Run) -> None:
    with pytest.raises(
        ConfigError, match=r"unknown key 'networks.base_widht' \(did you mean 'networks.base_width'"
    ):
        preset("mnist", networks={"base_widht": 3})
    with pytest.raises(UsageError, match="did you mean 'mnist'"):
        preset("mnis")
    with pytest.raises(UsageError, match="give one of them"):
        fit()
    with pytest.raises(UsageError, match="data is a int"):
        train(tiny, 3)
    with pytest.raises(UsageError, match="the config is a dict: make it with preset"):
        train({"preset": "mnist"}, images)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="device is auto, cpu or cuda, not 'gpu'"):
        fit(tiny, images, device="gpu")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="threads is at least 1, not 0"):
        fit(tiny, images, device="cpu", threads=0)
    with pytest.raises(UsageError, match="two presets are given: 'mnist', and 'paper'"):
        preset("mnist", preset="paper")
    with pytest.raises(UsageError, match="keeps its folder"):
        fit(resume=whole, out="x")
    with pytest.raises(UsageError, match=r"schedule.batch_size of a run cannot be changed"):
        fit(resume=whole, schedule={"batch_size": 20})
    with pytest.raises(UsageError, match="write into the run folder: give out="):
        train(tiny, images, options=RunOptions(profile=True))


def test_a_start_that_is_refused_leaves_no_folder(tiny: TrainConfig, images: Tensor, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        train(tiny, images, out=tmp_path / "run", callbacks=[lambda _: None])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("count", "categories", "message"),
    [(8, 10, "takes at least 10 images for 10 categories, not 8"), (2, 2, "takes at least 3 images")],
)
def test_too_few_images_to_cluster_are_refused_at_once(
    images: Tensor, count: int, categories: int, message: str
) -> None:
    config = preset("mnist", latent={"categorical": [categories]}, schedule={"batch_size": 2})
    with pytest.raises(DataError, match=message):
        train(config, images[:count])


def test_a_run_that_failed_before_its_first_checkpoint_starts_its_records_again(
    tiny: TrainConfig, images: Tensor
) -> None:
    config = preset(
        "paper", networks=tiny.networks.model_dump(), schedule={"batch_size": 50, "steps": 3, "log_every": 1}
    )

    class Fails(Callback):
        def on_report(self, run: Run, record: dict[str, Any]) -> None:
            del record
            run.networks.generator.layers[0].weight.data.fill_(torch.nan)

    with pytest.raises(NonFiniteError) as caught:
        train(config, images, callbacks=[Fails()])
    failed: Run = caught.value.run  # type: ignore[attr-defined]
    assert failed.records
    resumed = fit(resume=failed, device="cpu", threads=1)
    assert [record["step"] for record in resumed.records] == [1, 2, 3]


def test_bfloat16_is_rounded_to_8_bits(tiny: TrainConfig, images: Tensor) -> None:
    rounded = (images / 255).bfloat16()
    expected = (rounded.float() * 255).round().to(torch.uint8)
    assert numbers(train(tiny, rounded)) == numbers(train(tiny, expected))


def test_reading_processes_end_with_the_training(tiny: TrainConfig, images: Tensor, tmp_path: Path) -> None:
    class Fault(Callback):
        def on_step(self, run: Run) -> None:
            if run.step == 3:
                (tmp_path / "fault").touch()

    def read(index: int) -> Tensor:
        if (tmp_path / "fault").exists():
            raise OSError("the disk is gone")
        return images[index]

    options = RunOptions(stream=True)
    before = set(multiprocessing.active_children())
    finished = train(tiny, Items(read), options=options)
    assert set(multiprocessing.active_children()) <= before, finished
    longer = preset("paper", **{**tiny.to_dict(), "schedule": {**tiny.schedule.model_dump(), "steps": 60}})
    with pytest.raises(DataError, match="OSError: the disk is gone") as caught:
        train(longer, Items(read), callbacks=[Fault()], options=options)
    assert set(multiprocessing.active_children()) <= before
    (tmp_path / "fault").unlink()
    assert numbers(fit(resume=caught.value.run, threads=1))[-1]["step"] == 60


def test_fit_runs_in_a_thread_and_in_an_event_loop(tiny: TrainConfig, images: Tensor, whole: Run) -> None:
    found: list[list[dict[str, Any]]] = []
    thread = threading.Thread(target=lambda: found.append(numbers(train(tiny, images))))
    thread.start()
    thread.join()

    async def main() -> None:
        found.append(numbers(train(tiny, images)))

    asyncio.run(main())
    assert found == [numbers(whole)] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_fit_in_a_forked_process_does_not_wait_forever(tiny: TrainConfig, images: Tensor) -> None:
    torch.set_num_threads(2)
    torch.randn(500, 500).matmul(torch.randn(500, 500))  # starts OpenMP's threads, which a fork loses
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = fit(tiny, images, device="cpu", threads=2).step
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 12
