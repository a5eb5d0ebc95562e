# ruff: noqa: PLC0415  (torch takes seconds to import, and collecting tests should not)
import functools
import os
import subprocess
import sys

import pytest

from common.errors import SettingsError
from common.models.catalog import read_card
from common.settings import EXIT_BAD_SETTINGS
from tests.support.factories import image_request

FAMILIES = ("sd15", "sdxl", "sd3", "flux")
EXACT, ROUGH = 1e-4, 0.5
"""Largest difference to the plain pipeline, as a share of the largest number: in the same precision, in a lower one."""

pytestmark = [
    # diffusers makes numpy arrays in a way that numpy means to change
    pytest.mark.filterwarnings("ignore::DeprecationWarning:diffusers"),
    # what the compiler imports is deprecated by torch itself
    pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module", autouse=True)
def _one_thread_without_gradients():
    import torch

    torch.set_num_threads(1)
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    from tests.support.engine import tiny_pipelines

    root = tmp_path_factory.mktemp("models")
    return {family: tiny_pipelines.save(family, root / family) for family in (*FAMILIES, "pixart")}


def open_family(directory, *words, precision="auto"):
    from worker.engine.families import factory
    from worker.torch_device import Device

    return factory.open_family(read_card(directory), directory, Device("cpu", precision), frozenset(words))


def begin(family, rows):
    from worker.engine.interface import Inputs

    return family.begin(image_request(model=family.card.name, steps=3), range(rows), Inputs())


def draw(family, rows=2):
    """Return the final latents of so many pictures that are stepped together."""
    import torch

    drawings = begin(family, rows)
    while drawings[0].done < drawings[0].total:
        family.step(drawings)
    return torch.cat([drawing.latents for drawing in drawings])


def differ(latents, plain):
    return float((latents.float() - plain).abs().max() / plain.abs().max())


@pytest.fixture(scope="module", params=FAMILIES)
def plain(request, directories):
    """A directory, and the latents that its model draws with nothing done for speed."""
    directory = directories[request.param]
    return directory, draw(open_family(directory))


@pytest.mark.parametrize("word", ["channels_last", "fuse_qkv"])
def test_optimizations_that_only_reorder_the_work_keep_the_image(plain, word):
    directory, latents = plain
    assert differ(draw(open_family(directory, word)), latents) <= EXACT


@pytest.mark.parametrize(("word", "precision"), [("int8", "fp32"), ("none", "bf16")])
def test_optimizations_that_round_more_keep_a_similar_image(plain, word, precision):
    directory, latents = plain
    drawn = draw(open_family(directory, word, precision=precision))
    assert bool(drawn.isfinite().all())
    assert 0 < differ(drawn, latents) < ROUGH


def test_compatible_optimizations_are_applied_together(directories):
    import torch
    from torchao.quantization import Int8Tensor

    pipeline = open_family(directories["sd15"], "channels_last", "fuse_qkv", "int8").pipeline
    for part in (pipeline.unet, pipeline.vae):
        kernels = [weight for weight in part.parameters() if weight.dim() == 4]
        assert kernels
        assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)
    joined = [part for name, part in pipeline.unet.named_modules() if name.endswith("to_qkv")]
    assert joined
    assert all(isinstance(part.weight.data, Int8Tensor) for part in joined)
    assert type(pipeline.unet.time_embedding.linear_1.weight.data) is torch.Tensor, "one row a picture is too few"


def test_a_pipeline_of_an_unknown_family_is_optimized_too(directories):
    from worker.engine.torch_backend import load_pipeline, optimizations
    from worker.torch_device import Device

    pipeline = load_pipeline.open_pipeline(directories["pixart"], Device("cpu"), {"fuse_qkv", "channels_last"})
    names = [name for name, _ in optimizations.find_denoiser(pipeline).named_modules()]
    assert any(name.endswith("to_qkv") for name in names)


def test_every_family_uses_the_attention_of_torch(directories):
    import torch
    from torch.overrides import TorchFunctionMode

    class Recorder(TorchFunctionMode):
        """Counts the calls of one function."""

        calls = 0

        def __torch_function__(self, function, types, args=(), kwargs=None):
            self.calls += function is torch.nn.functional.scaled_dot_product_attention
            return function(*args, **(kwargs or {}))

    for name in FAMILIES:
        family = open_family(directories[name])
        drawings = begin(family, 1)
        with Recorder() as recorder:
            family.step(drawings)
        assert recorder.calls >= 2, name


def test_padding_rows_do_not_change_the_others(plain):
    directory, _ = plain
    family = open_family(directory)
    ask, asked = family.ask, set()
    family.ask = lambda rows, times, drawings: asked.add(len(drawings)) or ask(rows, times, drawings)
    three = draw(family, 3)
    assert asked == {3}
    asked.clear()
    family._is_compiled = True
    assert differ(draw(family, 3), three) <= EXACT
    assert asked == {4}


@pytest.mark.parametrize("name", ["sd15", "flux"])
def test_batches_of_three_and_four_rows_share_one_compilation(directories, monkeypatch, name):
    import torch
    from torch._dynamo.utils import counters

    # What is compiled anew is the tracer's decision; the code that would be generated takes minutes.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    latents = draw(open_family(directories[name]), 4)
    family = open_family(directories[name], "compile")
    counters.clear()
    assert differ(draw(family, 4), latents) <= EXACT
    graphs = counters["stats"]["unique_graphs"]
    assert graphs > 0
    assert differ(draw(family, 3), latents[:3]) <= EXACT
    assert differ(draw(family, 4), latents) <= EXACT
    assert counters["stats"]["unique_graphs"] == graphs
    assert not counters["graph_break"]


def test_compiled_code_gives_the_same_image(directories):
    latents = draw(open_family(directories["flux"]))
    assert differ(draw(open_family(directories["flux"], "compile")), latents) <= EXACT


def test_batches_of_a_compiled_model_are_rounded_up_to_a_power_of_two():
    from worker.engine.torch_backend.optimizations import round_up_rows

    assert [round_up_rows(rows) for rows in (1, 2, 3, 4, 5, 8, 9, 16, 17)] == [1, 2, 4, 4, 8, 8, 16, 16, 32]


def choose(*words):
    from worker.engine.torch_backend import optimizations
    from worker.torch_device import Device

    return optimizations.choose_speedups(words, Device("cpu"))


def test_a_cpu_uses_the_optimizations_measured_to_help_by_default():
    assert choose("auto") == {"channels_last"}
    assert choose("auto", "fuse_qkv") == {"channels_last", "fuse_qkv"}
    assert choose("none") == frozenset()
    assert choose("int8", "compile") == {"int8", "compile"}


def test_8_bit_weights_without_their_package_are_refused_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(SettingsError, match=r"^PRESSROOM_SPEED: int8 requires torchao; install the extra `quantize`"):
        choose("int8")


def test_compiling_without_a_compiler_is_refused_in_a_sentence():
    from torch._dynamo import reset
    from torch._inductor import config
    from torch._inductor.utils import fresh_cache

    sentence = r"^PRESSROOM_SPEED: compile does not work on this device, cpu: .*No working C\+\+"
    reset()
    with (
        fresh_cache(),
        config.patch({"cpp.cxx": (None, "no-such-compiler")}),
        pytest.raises(SettingsError, match=sentence),
    ):
        choose("compile")


def test_a_press_exits_with_a_message_when_its_device_lacks_an_optimization(directories, tmp_path):
    told = {"HOME": str(tmp_path), "MODELS": str(directories["flux"]), "DEVICE": "cpu", "SPEED": "fp8"}
    ended = subprocess.run(
        [sys.executable, "-m", "worker.main"],
        env=os.environ | {f"PRESSROOM_{name}": value for name, value in told.items()},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert ended.returncode == EXIT_BAD_SETTINGS
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("PRESSROOM_SPEED: fp8 does not work on this device, cpu: AssertionError: Float8 dynamic")
