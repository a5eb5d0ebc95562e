"""Matches the layers of a LoRA with those of a model by names and shapes, without torch.

A LoRA adds to a layer's weight the product of two thin matrices (Hu et al., "LoRA: Low-Rank Adaptation of Large
Language Models", 2021). diffusers and peft name a layer as the model does, kohya's trainer joins the same names with
underscores; some trainers keep the names of a model's first release, which diffusers translates when it loads them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import ModelUnavailableError
from common.models import safetensors_file
from common.models.catalog import Family
from common.models.first_release_names import MARKS, translate_name

Shape = tuple[int, ...]
Weights = Mapping[str, Mapping[str, Shape]]
"""The shape of each weight of a model, by its part and by its layer's name joined with underscores."""

PARTS = ("unet", "transformer", "text_encoder", "text_encoder_2")
"""The parts of a pipeline that a LoRA may change."""

DENOISERS = ("unet", "transformer")

_PREFIXES = {
    **{f"{part}.": part for part in PARTS},
    "lora_unet_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
}
_LOADED = {
    Family.SD15: {"unet.", "text_encoder.", "lora_unet_", "lora_te_", "lora_te1_"},
    Family.SDXL: {"unet.", "text_encoder.", "text_encoder_2.", "lora_unet_", "lora_te_", "lora_te1_", "lora_te2_"},
    Family.SD3: {"transformer.", "text_encoder.", "text_encoder_2."},
    Family.FLUX: {"transformer.", "text_encoder.", "lora_unet_", "lora_te_", "lora_te1_", "diffusion_model.", ""},
}
"""How the names begin that diffusers loads into each family; it passes over others without a word."""

_MATRIX = re.compile(r"(?P<layer>.+?)(?P<form>[._]lora(_linear_layer)?\d?[._])(?P<side>A|B|down|up)\.weight")
_KOHYA = "lora_"
_FORM_OF_KOHYA = ".lora_"
_FOREIGN_TENSORS = {
    "lora_mid": "a LoCon with a Tucker decomposition",
    "hada_": "a LoHa",
    "lokr_": "a LoKr",
    "dora_scale": "a DoRA",
    "lora_magnitude_vector": "a DoRA",
    "w_norm": "changes of normalization layers",
    "b_norm": "changes of normalization layers",
    "bundle_emb": "an embedding (textual inversion)",
    ".diff": "changes of whole weights",
}
_COMFYUI = "diffusion_model."
_PROCESSOR = ".processor."
_FOREIGN_NAMES = {"base_model.model.": "PEFT's save_pretrained", _COMFYUI: "ComfyUI"}
_OLD_ATTENTION = ("to_q", "to_k", "to_v", "to_out", "add_q_proj", "add_k_proj", "add_v_proj")
_ATTENTION_OF_TEXT = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}
_PROMPT_WIDTHS = {768: Family.SD15, 1024: Family.SD15, 2048: Family.SDXL}
"""How wide the prompt is that the layers of cross-attention read, in the released models."""

TITLES = {
    Family.SD15: "Stable Diffusion 1.x or 2.x",
    Family.SDXL: "Stable Diffusion XL",
    Family.SD3: "Stable Diffusion 3",
    Family.FLUX: "Flux",
}


@dataclass(frozen=True)
class Layer:
    """A layer that a LoRA changes; where its name is of a first release, only the family is known."""

    part: str
    name: str
    inputs: int
    outputs: int
    release: Family | None = None
    kernel: Shape = ()  # of a convolution
    prefix: str = ""


def read_layers(shapes: Mapping[str, Shape]) -> list[Layer]:
    """Return the layers that the tensors of a file belong to; raise ModelUnavailableError unless they are a LoRA."""
    pairs: dict[tuple[str, str], dict[str, Shape]] = {}
    for tensor, shape in shapes.items():
        found = _MATRIX.fullmatch(tensor)
        if found is None:
            if tensor.endswith(".alpha"):
                continue
            raise ModelUnavailableError(_describe_foreign_tensor(tensor))
        is_pefts = found["side"] in ("A", "B")
        side = "down" if found["side"] in ("A", "down") else "up"
        pairs.setdefault((found["layer"], found["form"] + "A" * is_pefts), {})[side] = shape
    if not pairs:
        raise ModelUnavailableError("it does not contain a LoRA")
    layers = [_read_layer(name, form, pair) for (name, form), pair in pairs.items()]
    trainers = {layer.prefix.startswith(_KOHYA) for layer in layers}
    releases = {layer.release for layer in layers if layer.part in DENOISERS}
    if len(trainers) > 1 or len(releases) > 1:  # diffusers would pass over some of them
        raise ModelUnavailableError("its layers are named in more than one way; save it again in one format")
    return layers


def find_misfit(layers: Sequence[Layer], family: Family, weights: Weights) -> str | None:
    """Return why *layers* do not go with a model of *family* that has *weights*, or None if they do."""
    return next((misfit for layer in layers if (misfit := _find_layer_misfit(layer, family, weights))), None)


def guess_family(layers: Sequence[Layer]) -> Family | None:
    """Return the model family that *layers* seem to be made for, judged by released models; None if it is unclear."""
    return next((family for layer in layers if (family := _guess_layer_family(layer)) is not None), None)


def read_weights(directory: Path) -> Weights:
    """Return the shapes of the model in *directory*; raise ModelUnavailableError where a file is damaged."""
    return {part: dict(_read_part(directory / part)) for part in PARTS}


def flatten_name(layer: str) -> str:
    """Return the one spelling of a layer's name that this module compares."""
    return layer.replace(".", "_").removeprefix("text_model_")


def _find_layer_misfit(layer: Layer, family: Family, weights: Weights) -> str | None:
    if layer.release not in (None, family):
        return f"it was made for {TITLES[layer.release]}"
    if layer.prefix not in _LOADED[family]:
        return f"layers of {TITLES[family]} are not named {layer.prefix}…"
    part = "transformer" if layer.release is Family.FLUX else layer.part
    known = weights.get(part, {})
    names = (layer.name,) if layer.release is None else translate_name(layer.release, layer.name, known)
    shapes = [known.get(name, ()) for name in names]
    if not shapes or min(map(len, shapes)) < 2:  # noqa: PLR2004  (a matrix)
        return f"the model's {part} has no layer {layer.name}"
    inputs, outputs = shapes[0][1], sum(shape[0] for shape in shapes)
    if (layer.outputs, layer.inputs) != (outputs, inputs):
        wanted, had = f"{layer.inputs} × {layer.outputs}", f"{inputs} × {outputs}"
        return f"its layer {layer.name} is made for {wanted} values; the model's has {had}"
    if layer.kernel != shapes[0][2:]:
        wanted, had = _describe_kernel(layer.kernel), _describe_kernel(shapes[0][2:])
        return f"its layer {layer.name} is made for {wanted}; the model's is {had}"
    return None


def _read_layer(name: str, form: str, pair: Mapping[str, Shape]) -> Layer:
    down, up = pair.get("down", ()), pair.get("up", ())
    if min(len(down), len(up)) < 2 or down[0] != up[1] or up[2:] != (1,) * len(down[2:]):  # noqa: PLR2004  (matrices)
        raise ModelUnavailableError(f"the two matrices of its layer {name} do not match")
    release = next((family for mark, family in MARKS.items() if mark in name), None)
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
    if prefix is None or (release is not None and prefix != "lora_unet_"):
        prefix = _find_foreign_prefix(name, form, release)
    part = _PREFIXES.get(prefix, "transformer")
    if prefix in _PREFIXES and not _is_form_known(form, prefix, name):
        raise ModelUnavailableError(f"its layer {name} is named as one trainer does, and its matrices as another")
    layer = _translate_name(part, name.removeprefix(prefix))
    number = form.strip("._").removeprefix("lora") if prefix == "" else ""
    return Layer(part, layer + number, down[1], up[0], release, down[2:], prefix)


def _find_foreign_prefix(name: str, form: str, release: Family | None) -> str:
    """Return what a name of ComfyUI or XLabs begins with; raise ModelUnavailableError where diffusers knows it not."""
    if release is Family.FLUX and name.startswith(_COMFYUI) and form == _FORM_OF_KOHYA:
        return _COMFYUI
    if release is Family.FLUX and name.startswith(tuple(MARKS)) and _PROCESSOR in name and form.endswith("."):
        return ""
    raise ModelUnavailableError(_describe_foreign_layer(name))


def _is_form_known(form: str, prefix: str, name: str) -> bool:
    """Return whether diffusers reads matrices whose names have *form* between the layer and the side."""
    if prefix.startswith(_KOHYA):
        return form == _FORM_OF_KOHYA and not name.startswith("lora_unet_add_embedding_")
    is_of_text = prefix.startswith("text")
    if form == "_lora.":  # of attention, in old versions of diffusers
        return name.rpartition(".")[2] in _OLD_ATTENTION and (is_of_text or _PROCESSOR in name)
    return form in (".lora_A", ".lora_linear_layer." if is_of_text else ".lora.")


def _describe_foreign_tensor(tensor: str) -> str:
    kind = next((kind for mark, kind in _FOREIGN_TENSORS.items() if mark in tensor), None)
    if kind is None:
        return f"it contains {tensor}, which does not belong in a LoRA"
    return f"it contains {kind} ({tensor}), which is not supported yet"


def _describe_foreign_layer(name: str) -> str:
    trainer = next((trainer for mark, trainer in _FOREIGN_NAMES.items() if name.startswith(mark)), None)
    if trainer is None:
        return f"it changes {name}, a layer of no known model"
    return (
        f"its layers are named as {trainer} names them ({name}), which is not supported yet; "
        "save it again in the format of diffusers (save_lora_weights) or of kohya's trainer"
    )


def _describe_kernel(kernel: Shape) -> str:
    return f"a convolution of {' × '.join(map(str, kernel))}" if kernel else "a linear layer"


def _translate_name(part: str, layer: str) -> str:
    """Return a layer's name in the model's own words; old versions of diffusers had others for attention."""
    name = flatten_name(layer.replace(".processor.", "."))
    stem, last = name[: name.rfind("to_")], name[name.rfind("to_") :]
    if part.startswith("text_encoder"):
        return stem + _ATTENTION_OF_TEXT[last] if last in _ATTENTION_OF_TEXT else name
    return f"{name}_0" if last == "to_out" else name


def _guess_layer_family(layer: Layer) -> Family | None:
    if layer.release is not None:
        return layer.release
    if layer.part == "unet" and layer.name.endswith(("attn2_to_k", "attn2_to_v")):
        return _PROMPT_WIDTHS.get(layer.inputs)
    return Family.FLUX if layer.name.startswith("single_transformer_blocks") else None


def _read_part(directory: Path) -> Iterator[tuple[str, Shape]]:
    for path in sorted(directory.glob("*.safetensors")):
        for tensor, shape in safetensors_file.read_header(path).shapes.items():
            if tensor.endswith(".weight"):
                yield flatten_name(tensor.removesuffix(".weight")), shape
