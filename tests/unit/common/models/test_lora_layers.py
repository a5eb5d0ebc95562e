import pytest

from common.errors import ModelUnavailableError
from common.models.catalog import Family
from common.models.lora_layers import Layer, find_misfit, guess_family, read_layers

TEXT_LAYER = "text_encoder.text_model.encoder.layers.0.self_attn.q_proj"
DOWN_BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0.attn2"
UNET = {"unet": {"down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k": (320, 768)}}
TEXT = {"text_encoder": {"encoder_layers_0_self_attn_q_proj": (768, 768)}}


def pair(name, down="lora_A", up="lora_B", inputs=768, outputs=320, rank=4):
    return {f"{name}.{down}.weight": (rank, inputs), f"{name}.{up}.weight": (outputs, rank)}


@pytest.mark.parametrize(
    "tensors",
    [
        pair(f"unet.{DOWN_BLOCK}.to_k"),
        pair(f"unet.{DOWN_BLOCK}.to_k", "lora.down", "lora.up"),
        {
            f"unet.{DOWN_BLOCK}.processor.to_k_lora.down.weight": (4, 768),
            f"unet.{DOWN_BLOCK}.processor.to_k_lora.up.weight": (320, 4),
        },
        pair(f"lora_unet_{DOWN_BLOCK.replace('.', '_')}_to_k", "lora_down", "lora_up"),
    ],
)
def test_a_layer_of_the_unet_is_known_by_every_name_that_trainers_give_it(tensors):
    layers = read_layers(tensors)
    assert find_misfit(layers, Family.SD15, UNET) is None
    assert guess_family(layers) is Family.SD15


@pytest.mark.parametrize(
    "tensors",
    [
        pair(TEXT_LAYER, outputs=768),
        pair("text_encoder.encoder.layers.0.self_attn.q_proj", outputs=768),
        pair(TEXT_LAYER, "lora_linear_layer.down", "lora_linear_layer.up", outputs=768),
        pair("lora_te_text_model_encoder_layers_0_self_attn_q_proj", "lora_down", "lora_up", outputs=768),
        pair("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", "lora_down", "lora_up", outputs=768),
        {
            "text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.down.weight": (4, 768),
            "text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.up.weight": (768, 4),
        },
    ],
)  # fmt: skip
def test_a_layer_of_the_text_encoder_is_known_by_every_name_that_trainers_give_it(tensors):
    assert find_misfit(read_layers(tensors), Family.SD15, TEXT) is None


def test_the_last_projection_of_attention_is_called_as_the_model_calls_it_today():
    old = {"unet.attn1.processor.to_out_lora.down.weight": (4, 8), "unet.attn1.processor.to_out_lora.up.weight": (8, 4)}
    assert read_layers(old) == read_layers(pair("unet.attn1.to_out.0", inputs=8, outputs=8))


def test_the_alpha_of_the_training_is_not_a_layer():
    name = "lora_te2_encoder_layers_0_mlp_fc1"
    assert read_layers(pair(name, "lora_down", "lora_up") | {f"{name}.alpha": ()}) == [
        Layer("text_encoder_2", "encoder_layers_0_mlp_fc1", 768, 320, prefix="lora_te2_")
    ]


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k", Family.SDXL),
        ("lora_unet_double_blocks_0_img_attn_qkv", Family.FLUX),
        ("transformer.single_transformer_blocks.0.attn.to_q", Family.FLUX),
        ("transformer.transformer_blocks.0.attn.to_q", None),
    ],
)
def test_the_family_is_guessed_from_names(name, family):
    ends = ("lora_down", "lora_up") if name.startswith("lora_") else ()
    assert guess_family(read_layers(pair(name, *ends))) is family


@pytest.mark.parametrize(
    ("width", "family"), [(768, Family.SD15), (1024, Family.SD15), (2048, Family.SDXL), (64, None)]
)
def test_the_family_is_guessed_from_the_width_of_the_prompt(width, family):
    assert guess_family(read_layers(pair(f"unet.{DOWN_BLOCK}.to_k", inputs=width))) is family


XL_UNET = {
    "down_blocks_0_resnets_0_conv1": (32, 32, 3, 3),
    "down_blocks_0_resnets_1_conv1": (32, 32, 3, 3),
    "down_blocks_0_downsamplers_0_conv": (32, 32, 3, 3),
    "down_blocks_1_attentions_0_proj_in": (64, 64),
    "mid_block_attentions_0_transformer_blocks_0_attn2_to_k": (64, 2048),
    "mid_block_resnets_1_conv2": (64, 64, 3, 3),
    "up_blocks_0_attentions_2_proj_out": (64, 64),
    "up_blocks_0_resnets_2_conv_shortcut": (64, 96, 1, 1),
    "up_blocks_0_upsamplers_0_conv": (64, 64, 3, 3),
}
FLUX = {
    **{f"transformer_blocks_0_attn_{name}": (96, 96) for name in ("to_q", "to_k", "to_v", "to_out_0", "add_q_proj")},
    **{f"transformer_blocks_0_attn_{name}": (96, 96) for name in ("add_k_proj", "add_v_proj")},
    "single_transformer_blocks_1_proj_out": (96, 480),
    "single_transformer_blocks_1_attn_to_q": (96, 96),
    "single_transformer_blocks_1_attn_to_k": (96, 96),
    "single_transformer_blocks_1_attn_to_v": (96, 96),
    "single_transformer_blocks_1_proj_mlp": (384, 96),
}


def kohya(name, outputs, inputs, *kernel, rank=4):
    ones = [1] * len(kernel)
    return {
        f"lora_unet_{name}.lora_down.weight": (rank, inputs, *kernel),
        f"lora_unet_{name}.lora_up.weight": (outputs, rank, *ones),
    }


COMFYUI = pair("diffusion_model.double_blocks.0.img_attn.proj", "lora_down", "lora_up", 96, 96)
XLABS = pair("double_blocks.0.processor.qkv_lora1", "down", "up", 96, 288)
XLABS_OF_A_SINGLE_BLOCK = pair("single_blocks.1.processor.proj_lora", "down", "up", 480, 96)


@pytest.mark.parametrize(
    ("family", "parts", "tensors"),
    [
        (Family.SDXL, {"unet": XL_UNET}, kohya("input_blocks_1_0_in_layers_2", 32, 32, 3, 3)),
        (Family.SDXL, {"unet": XL_UNET}, kohya("input_blocks_3_0_op", 32, 32, 3, 3)),
        (Family.SDXL, {"unet": XL_UNET}, kohya("input_blocks_4_1_proj_in", 64, 64)),
        (Family.SDXL, {"unet": XL_UNET}, kohya("middle_block_1_transformer_blocks_0_attn2_to_k", 64, 2048)),
        (Family.SDXL, {"unet": XL_UNET}, kohya("middle_block_2_out_layers_3", 64, 64, 3, 3)),
        (Family.SDXL, {"unet": XL_UNET}, kohya("output_blocks_2_1_proj_out", 64, 64)),
        (Family.SDXL, {"unet": XL_UNET}, kohya("output_blocks_2_0_skip_connection", 64, 96, 1, 1)),
        (Family.SDXL, {"unet": XL_UNET}, kohya("output_blocks_2_2_conv", 64, 64, 3, 3)),
        (Family.FLUX, {"transformer": FLUX}, kohya("double_blocks_0_img_attn_qkv", 288, 96)),
        (Family.FLUX, {"transformer": FLUX}, kohya("double_blocks_0_txt_attn_qkv", 288, 96)),
        (Family.FLUX, {"transformer": FLUX}, kohya("single_blocks_1_linear1", 672, 96)),
        (Family.FLUX, {"transformer": FLUX}, kohya("single_blocks_1_linear2", 96, 480)),
        (Family.FLUX, {"transformer": FLUX}, COMFYUI),
        (Family.FLUX, {"transformer": FLUX}, XLABS | XLABS_OF_A_SINGLE_BLOCK),
    ],
)  # fmt: skip
def test_names_of_a_first_release_are_compared_with_the_layers_that_they_mean(family, parts, tensors):
    assert find_misfit(read_layers(tensors), family, parts) is None
    wider = {
        name: (*shape[:1], shape[1] + 4, *shape[2:]) if "down" in name else shape for name, shape in tensors.items()
    }
    misfit = find_misfit(read_layers(wider), family, parts)
    assert misfit is not None
    assert "is made for" in misfit


def test_a_convolution_under_the_name_of_a_first_release_does_not_fit_a_linear_layer():
    layers = read_layers(kohya("input_blocks_4_1_proj_in", 64, 64, 1, 1))
    assert "the model's is a linear layer" in str(find_misfit(layers, Family.SDXL, {"unet": XL_UNET}))


@pytest.mark.parametrize(
    "name", ["input_blocks_0_0", "input_blocks_9_1_proj_in", "middle_block_1_norm", "output_blocks_x"]
)
def test_a_name_of_a_first_release_that_means_no_layer_does_not_fit(name):
    assert "has no layer" in str(find_misfit(read_layers(kohya(name, 4, 4)), Family.SDXL, {"unet": XL_UNET}))


def test_names_of_a_first_release_go_with_its_family_alone():
    layers = read_layers(kohya("double_blocks_0_img_attn_qkv", 288, 96))
    assert find_misfit(layers, Family.SD15, UNET) == "it was made for Flux"


@pytest.mark.parametrize(
    ("family", "tensors"),
    [
        (Family.SD3, pair("lora_te1_encoder_layers_0_self_attn_q_proj", "lora_down", "lora_up", outputs=768)),
        (Family.SD15, pair("lora_te2_encoder_layers_0_self_attn_q_proj", "lora_down", "lora_up", outputs=768)),
        (Family.FLUX, pair("text_encoder_2.encoder.layers.0.self_attn.q_proj", outputs=768)),
    ],
)
def test_a_part_that_diffusers_does_not_load_for_a_family_does_not_fit(family, tensors):
    weights = {"text_encoder": TEXT["text_encoder"], "text_encoder_2": TEXT["text_encoder"]}
    assert "are not named" in str(find_misfit(read_layers(tensors), family, weights))


@pytest.mark.parametrize(
    "tensors",
    [
        pair(f"unet.{DOWN_BLOCK}.to_k", "lora_down", "lora_up"),
        pair("lora_unet_a_to_k"),
        pair(f"unet.{DOWN_BLOCK}.to_k", "lora_linear_layer.down", "lora_linear_layer.up"),
        pair("unet.input_blocks.4.1.proj_in"),
        pair("transformer.double_blocks.0.img_attn.proj"),
        pair("double_blocks.0.img_attn.proj"),
        pair("unet.a.to_k") | pair(TEXT_LAYER.replace("text_encoder.", "lora_te_"), "lora_down", "lora_up"),
        kohya("input_blocks_4_1_proj_in", 64, 64) | kohya("down_blocks_1_attentions_0_proj_in", 64, 64),
        {"unet.a.lora_A.weight": (4, 8, 3, 3), "unet.a.lora_B.weight": (8, 4)},
        {"unet.a.lora_A.weight": (4, 8), "unet.a.lora_B.weight": (8, 4, 1, 1)},
        {"unet.a.lora_A.weight": (4, 8, 3, 3), "unet.a.lora_B.weight": (8, 4, 3, 3)},
    ],
)
def test_names_and_shapes_that_diffusers_would_pass_over_or_fail_on_are_refused(tensors):
    with pytest.raises(ModelUnavailableError):
        read_layers(tensors)


def test_a_layer_that_the_model_lacks_or_has_in_another_size_is_named():
    assert find_misfit(read_layers(pair("transformer.a.to_q")), Family.SD3, UNET) == (
        "the model's transformer has no layer a_to_q"
    )
    wide = read_layers(pair(f"unet.{DOWN_BLOCK}.to_k", inputs=2048))
    assert "768 × 320" in str(find_misfit(wide, Family.SD15, UNET))
    assert "2048 × 320" in str(find_misfit(wide, Family.SD15, UNET))


def test_a_layer_without_a_matrix_takes_no_lora():
    assert find_misfit(read_layers(pair("unet.norm")), Family.SD15, {"unet": {"norm": (768,)}}) is not None


@pytest.mark.parametrize(
    "tensors",
    [
        {}, {"unet.a.alpha": ()}, {"unet.a.weight": (4, 4)}, {"unet.a.lora_A.weight": (4, 8)},
        {"unet.a.lora_B.weight": (8, 4)}, {"unet.a.lora_A.weight": (4, 8), "unet.a.lora_B.weight": (8, 2)},
        {"unet.a.lora_A.weight": (4,), "unet.a.lora_B.weight": (8, 4)}, pair("vae.decoder.conv"), pair("to_q"),
        pair("unet.a") | {"unet.a.lora_magnitude_vector": (8,)}, pair("unet.a") | {"unet.a.dora_scale": (8,)},
        {"lora_unet_a.hada_w1_a": (4, 4)}, {"lora_unet_a.lokr_w1": (4, 4)}, pair("unet.a") | {"unet.b.diff": (8, 8)},
        {"transformer.x_embedder.lora_A.weight": (4, 8), "transformer.x.query_norm.scale": (4,)},
    ],
)  # fmt: skip
def test_anything_but_a_plain_lora_is_refused(tensors):
    with pytest.raises(ModelUnavailableError):
        read_layers(tensors)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (pair("base_model.model.down_blocks.0.attn.to_q"), "PEFT's save_pretrained"),
        (pair("diffusion_model.input_blocks.4.1.transformer_blocks.0.attn1.to_q"), "ComfyUI"),
        (pair("diffusion_model.double_blocks.0.img_attn.proj"), "ComfyUI"),
        (pair("unet.a") | {"lora_unet_b.lora_mid.weight": (4, 4, 3, 3)}, "Tucker"),
        (pair("unet.a") | {"lora_unet_norm.w_norm": (4,)}, "normalization"),
        (pair("unet.a") | {"bundle_emb.x.string_to_param.*": (1, 768)}, "embedding"),
        ({"lora_unet_a.hada_w1_a": (4, 4)}, "LoHa"),
        ({"lora_unet_a.lokr_w1": (4, 4)}, "LoKr"),
        (pair("unet.a") | {"unet.a.dora_scale": (8,)}, "DoRA"),
    ],
)
def test_a_layout_that_cannot_be_loaded_yet_is_called_by_its_name(tensors, words):
    with pytest.raises(ModelUnavailableError, match=words) as caught:
        read_layers(tensors)
    assert "not supported yet" in caught.value.message


@pytest.mark.parametrize(
    ("down", "weight", "misfit"),
    [
        ((4, 320), (320, 320), None),
        ((4, 320, 1, 1), (320, 320, 1, 1), None),
        ((4, 320, 3, 3), (320, 320, 3, 3), None),
        ((4, 320, 1, 1), (320, 320), "a convolution of 1 × 1; the model's is a linear layer"),
        ((4, 320), (320, 320, 1, 1), "a linear layer; the model's is a convolution of 1 × 1"),
        ((4, 320, 3, 3), (320, 320, 1, 1), "a convolution of 3 × 3; the model's is a convolution of 1 × 1"),
    ],
)
def test_a_convolution_fits_a_convolution_of_the_same_kernel_only(down, weight, misfit):
    up = (320, 4, *[1] * (len(down) - 2))
    layers = read_layers({"lora_unet_proj_in.lora_down.weight": down, "lora_unet_proj_in.lora_up.weight": up})
    found = find_misfit(layers, Family.SD15, {"unet": {"proj_in": weight}})
    assert found is None if misfit is None else misfit in found
