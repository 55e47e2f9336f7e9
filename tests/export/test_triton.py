"""The Triton model repository: what a server would read of it, read with Triton's own messages."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

from infogan_tool.export.outputs import export_outputs
from infogan_tool.runtime import load_bundle
from infogan_tool.runtime.bundle.bundle import PRETRAINED_BUNDLE
from infogan_tool.runtime.errors import OutputExistsError, UsageError
from infogan_tool.runtime.inference.session import GraphSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TYPES = {onnx.TensorProto.FLOAT: triton.TYPE_FP32, onnx.TensorProto.INT64: triton.TYPE_INT64}


@pytest.fixture
def bundles(tiny: Path, continuous: Path) -> dict[str, Path]:
    return {"shipped": PRETRAINED_BUNDLE, "tiny": tiny, "continuous": continuous}


def read_config(model: Path) -> Any:  # noqa: ANN401 - a message without stubs
    return text_format.Parse((model / "config.pbtxt").read_text(), triton.ModelConfig())


@pytest.mark.parametrize("name", ["shipped", "tiny", "continuous"])
def test_the_configuration_is_of_the_graph(name: str, bundles: dict[str, Path], tmp_path: Path) -> None:
    bundle = load_bundle(bundles[name], device="cpu")
    assert export_outputs(bundles[name], out=None, triton=tmp_path / "models").triton == tmp_path / "models"
    models = sorted((tmp_path / "models").iterdir())
    assert [model.name for model in models] == ["mnist_encoder", "mnist_generator"]
    for model, source in zip(models, ("q_encoder.onnx", "generator.onnx"), strict=True):
        config = read_config(model)
        content = (model / "1" / "model.onnx").read_bytes()
        assert content == (bundles[name] / source).read_bytes()
        assert (config.name, config.backend) == (model.name, "onnxruntime")
        assert config.default_model_filename == "model.onnx"
        assert config.max_batch_size > 1
        assert config.HasField("dynamic_batching")
        graph = onnx.load_from_string(content).graph
        for declared, tensors in ((config.input, graph.input), (config.output, graph.output)):
            assert [tensor.name for tensor in declared] == [tensor.name for tensor in tensors]
            for said, tensor in zip(declared, tensors, strict=True):
                kind = tensor.type.tensor_type
                assert said.data_type == TYPES[kind.elem_type]
                batch, *dims = kind.shape.dim
                assert batch.dim_param  # the axis that the server adds
                assert list(said.dims) == [dim.dim_value for dim in dims]
        assert config.parameters["infogan.bundle_id"].string_value == bundle.metadata.bundle_id
        assert config.parameters["infogan.precision"].string_value == "fp32"


@pytest.mark.parametrize("name", ["shipped", "tiny", "continuous"])
def test_the_warm_up_is_a_request_that_runs(name: str, bundles: dict[str, Path], tmp_path: Path) -> None:
    export_outputs(bundles[name], out=None, triton=tmp_path / "models")
    for model in (tmp_path / "models").iterdir():
        config = read_config(model)
        session = GraphSession((model / "1" / "model.onnx").read_bytes(), device="cpu")
        assert [warm_up.batch_size for warm_up in config.model_warmup] == [1, config.max_batch_size]
        for warm_up in config.model_warmup:
            feeds = {
                key: np.zeros(
                    (warm_up.batch_size, *value.dims),
                    np.int64 if value.data_type == triton.TYPE_INT64 else np.float32,
                )
                for key, value in warm_up.inputs.items()
                if value.zero_data
            }
            assert session.run(feeds).keys() == {output.name for output in config.output}


def test_labels_of_the_probabilities(bundles: dict[str, Path], tmp_path: Path) -> None:
    for name, path in bundles.items():
        bundle = load_bundle(path)
        export_outputs(path, out=None, triton=tmp_path / name)
        encoder = tmp_path / name / "mnist_encoder"
        files = {output.name: output.label_filename for output in read_config(encoder).output}
        assert {tensor for tensor, file in files.items() if file} <= {"probabilities"}
        if not bundle.latent.categorical:
            assert not (encoder / "labels.txt").exists()
            continue
        labels = (encoder / files["probabilities"]).read_text().splitlines()
        assert len(labels) == sum(bundle.latent.categorical)
        if name == "shipped":
            assert labels == list(bundle.metadata.labels["k1"])
        else:
            assert labels[0].startswith("k1=")
            assert labels[-1].startswith("k2=")


def test_names_that_could_steer_are_escaped(tiny: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(tiny, odd)
    data = json.loads((odd / "metadata.json").read_text())
    data["training"]["data"] = {"name": '../../x" backend: "python'}
    data["tool_version"] = 'é" } parameters { key: "x'
    (odd / "metadata.json").write_text(json.dumps(data))
    export_outputs(odd, out=None, triton=tmp_path / "models")
    names = sorted(model.name for model in (tmp_path / "models").iterdir())
    assert names == ["x_backend_python_encoder", "x_backend_python_generator"]
    config = read_config(tmp_path / "models" / names[0])
    assert config.backend == "onnxruntime"
    assert sorted(config.parameters) == ["infogan.bundle_id", "infogan.precision", "infogan.tool_version"]


def test_what_is_there_is_not_replaced_unasked(tiny: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    export_outputs(tiny, out=None, triton=models)
    with pytest.raises(OutputExistsError, match="--force"):
        export_outputs(tiny, out=None, triton=models)
    (models / "mnist_encoder" / "stale").touch()
    export_outputs(tiny, out=None, triton=models, force=True)
    assert not (models / "mnist_encoder" / "stale").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").touch()
    with pytest.raises(OutputExistsError, match="not a model repository"):
        export_outputs(tiny, out=None, triton=other, force=True)
    assert (other / "mine.txt").exists()


@pytest.mark.parametrize(
    "file", ["resnet/config.pbtxt", "bert_encoder/config.pbtxt", "resnet/notes.txt", "notes.txt"]
)
def test_repository_with_other_entries_is_not_replaced(tiny: Path, tmp_path: Path, file: str) -> None:
    models = tmp_path / "models"
    export_outputs(tiny, out=None, triton=models)
    (models / file).parent.mkdir(exist_ok=True)
    (models / file).write_text('name: "other"')
    with pytest.raises(OutputExistsError, match=rf"other entries \({file.partition('/')[0]}\)"):
        export_outputs(tiny, out=None, triton=models, force=True)
    assert (models / file).exists()


@pytest.mark.parametrize(("out", "triton"), [("a", "a"), ("a/b", "a"), ("a", "a/b")])
def test_one_output_inside_the_other_is_refused(tiny: Path, tmp_path: Path, out: str, triton: str) -> None:
    with pytest.raises(UsageError, match="must be separate folders"):
        export_outputs(tiny, out=tmp_path / out, triton=tmp_path / triton, precision="int8")
    assert not (tmp_path / "a").exists()


def test_data_without_reduced_precision_is_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--precision fp16 or int8"):
        export_outputs(tiny, out=None, triton=tmp_path / "models", data="mnist")
    assert not (tmp_path / "models").exists()


def test_the_command(tmp_path: Path, cli: Callable[..., Any]) -> None:
    done = cli("export", PRETRAINED_BUNDLE, "--triton", tmp_path / "models")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith(f"wrote {tmp_path / 'models'}\n")
    assert cli("export", PRETRAINED_BUNDLE).code == 2
    missing = cli("export", tmp_path / "nothing", "--triton", tmp_path / "more")
    assert missing.code == 1
    assert missing.err.splitlines()[-1].startswith("error: ")
