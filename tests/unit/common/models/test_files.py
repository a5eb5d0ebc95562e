import json
import struct

import pytest

from common.errors import ModelUnavailableError
from common.models import files, safetensors_file

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "requires_safety_checker": True,
    "image_encoder": [None, None],
}


def tensor(dtype="F32", shape=(2, 2), offsets=(0, 16)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def weights(header=None, body=16, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header or {"w": tensor()}).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + bytes(body)


@pytest.fixture
def model(tmp_path):
    directory = tmp_path / "model"
    (directory / "unet").mkdir(parents=True)
    (directory / "model_index.json").write_text(json.dumps(INDEX))
    (directory / "unet" / "config.json").write_text("{}")
    (directory / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(weights())
    return directory


def reindex(model, **parts):
    (model / "model_index.json").write_text(json.dumps({**INDEX, **parts}))


def test_a_directory_of_safetensors_is_accepted_without_its_safety_checker(model):
    files.check_model_directory(model)


@pytest.mark.parametrize(
    "name", ["unet/w.bin", "v1-5.ckpt", "unet/w.PT", "w.pth", "w.pt2", "w.pkl", "w.msgpack", "x.so"]
)
def test_files_that_can_contain_code_are_refused_by_name(model, name):
    (model / name).write_bytes(b"")
    with pytest.raises(ModelUnavailableError, match="can contain code") as caught:
        files.check_model_directory(model)
    assert name in caught.value.message


@pytest.mark.parametrize("name", ["pipeline.py", "unet/my_unet.py"])
def test_a_directory_with_code_is_refused(model, name):
    (model / name).write_text("raise SystemExit")
    with pytest.raises(ModelUnavailableError, match="contains code"):
        files.check_model_directory(model)


def test_a_configuration_that_asks_for_code_is_refused(model):
    (model / "unet" / "config.json").write_text('{"auto_map": {"AutoModel": "modeling.Mine"}}')
    with pytest.raises(ModelUnavailableError, match="auto_map"):
        files.check_model_directory(model)


def test_a_link_out_of_the_directory_is_refused_and_one_inside_is_allowed(model, tmp_path):
    (model / "unet" / "again.json").symlink_to(model / "unet" / "config.json")
    files.check_model_directory(model)
    (tmp_path / "outside.json").write_text("{}")
    (model / "unet" / "out.json").symlink_to("../../outside.json")
    with pytest.raises(ModelUnavailableError, match="leads out"):
        files.check_model_directory(model)


@pytest.mark.parametrize("shard", ["../../w.safetensors", "/etc/passwd", "w.bin", "missing.safetensors"])
def test_an_index_may_name_only_safetensors_beside_it(model, shard):
    (model / "unet" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": shard}}))
    with pytest.raises(ModelUnavailableError):
        files.check_model_directory(model)


def test_an_index_whose_shards_are_present_is_accepted(model):
    (model / "unet" / "model.safetensors.index.json").write_text(
        '{"weight_map": {"w": "diffusion_pytorch_model.safetensors"}}'
    )
    files.check_model_directory(model)


@pytest.mark.parametrize("part", [["os", "system"], ["my_code", "Unet"], ["diffusers", "UNet2DConditionModel", "x"]])
def test_parts_come_from_the_known_libraries_only(model, part):
    reindex(model, unet=part)
    with pytest.raises(ModelUnavailableError, match="unet"):
        files.check_model_directory(model)


def test_a_custom_pipeline_class_is_refused(model):
    reindex(model, _class_name=["my_pipeline", "MyPipeline"])
    with pytest.raises(ModelUnavailableError, match="refers to custom code"):
        files.check_model_directory(model)


@pytest.mark.parametrize("option", [[2, 5, 8, 11], [0, 1], [], [[1, 2]], [None, None]])
def test_a_plain_list_is_an_option_and_not_a_part(model, option):
    reindex(model, text_encoder_select_layers=option)
    files.check_model_directory(model)


def write_values(path, count):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(weights({"w": tensor(shape=(count,), offsets=(0, 4 * count))}, body=4 * count))


@pytest.mark.parametrize(
    ("copies", "counted"),
    [
        ({"diffusion_pytorch_model": 4, "diffusion_pytorch_model.fp16": 4, "diffusion_pytorch_model.non_ema": 4}, 4),
        ({"diffusion_pytorch_model.fp16": 5}, 5),
        ({"model-00001-of-00002": 1, "model-00002-of-00002": 2, "quantized-q4": 9}, 3),
        ({"model": 3, "model-00001-of-00002": 1, "model-00002-of-00002": 2}, 3),
        ({"model.fp16-00001-of-00002": 1, "model.fp16-00002-of-00002": 2}, 3),
        ({"model-00001-of-00002.fp16": 1, "model-00002-of-00002.fp16": 2}, 3),
    ],
)
def test_one_copy_of_each_part_counts_as_the_size_of_a_model(model, copies, counted):
    for path in (model / "unet").glob("*.safetensors"):
        path.unlink()
    for name, count in copies.items():
        write_values(model / "unet" / f"{name}.safetensors", count)
    write_values(model / "safety_checker" / "model.safetensors", 100)
    write_values(model / "whole-checkpoint.safetensors", 100)
    assert files.measure_weights(model, 2) == 2 * counted


def test_weights_that_cannot_be_read_count_for_nothing(model, tmp_path):
    (model / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    assert files.measure_weights(model, 2) == files.measure_weights(tmp_path / "nowhere", 2) == 0


def test_a_missing_part_is_named(model):
    reindex(model, vae=["diffusers", "AutoencoderKL"])
    with pytest.raises(ModelUnavailableError, match="vae"):
        files.check_model_directory(model)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0" * 7, weights(length=2**63), weights(length=2**64 - 1), weights(length=10_000), weights(b"[]"),
        weights(b"{not json"), weights(b"\xff\xfe"), weights(body=15), weights(body=17), weights(body=0),
        weights({"w": tensor(dtype="Q9")}), weights({"w": tensor(shape=(-2, -2))}),
        weights({"w": tensor(shape=(3, 2))}),
        weights({"w": tensor(offsets=(16, 0))}), weights({"w": tensor(offsets=(8, 24))}, body=24),
        weights({"a": tensor(), "b": tensor(offsets=(8, 24))}, body=24), weights({"w": {"dtype": "F32"}}),
        weights({"w": 3}), weights({"w": tensor(offsets=(0, 8, 16))}),
        weights({"w": tensor(offsets=("a", "b"))}), weights({"w": tensor(shape=("a",))}),
        weights({"w": tensor(shape=(2**62, 2**62))}), weights(b"[" * 100_000),
    ],
)  # fmt: skip
def test_damaged_weights_are_refused_by_name(model, content):
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelUnavailableError, match="damaged") as caught:
        files.check_model_directory(model)
    assert str(path) in caught.value.message


def test_complete_weights_of_several_types_are_accepted(tmp_path):
    header = {
        "__metadata__": {"format": "pt"},
        "b": tensor("BF16", (3,), (16, 22)),
        "a": tensor(),
        "none": tensor("F16", (0, 4), (22, 22)),
        "one": tensor("I64", (), (22, 30)),
    }
    (tmp_path / "w.safetensors").write_bytes(weights(header, body=30))
    safetensors_file.read_header(tmp_path / "w.safetensors")


def test_a_directory_with_half_precision_only_is_read_in_that_variant(model):
    assert files.find_variant(model) is None
    (model / "unet" / "diffusion_pytorch_model.safetensors").rename(model / "unet" / "diffusion.fp16.safetensors")
    assert files.find_variant(model) == "fp16"
