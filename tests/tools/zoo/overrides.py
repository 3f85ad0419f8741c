"""What the general rules of shrinking do not know: settings of single model types, `part.name` being nested ones."""

from typing import Any

_SLIDING = {"layer_types": ["full_attention", "sliding_attention", "sliding_attention"]}
_SPARSE = {"layer_types": ["full_attention", "minimax_m3_sparse", "minimax_m3_sparse"]}
_SHORT_CONVOLUTIONS = {"layer_types": ["conv", "full_attention", "full_attention"]}
_ROTATIONS = {"rope_type": "default", "rope_theta": 10000.0}
_COMPASS = _SLIDING | {"rope_parameters": dict.fromkeys(["full_attention", "sliding_attention"], _ROTATIONS)}
_EXPERTS = {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 64}
_SPECIAL = {"<image>": 90, "<racm3:break>": 91, "<eoss>": 92, "<|extra_200|>": 93}
_VISION = {"vision_start_token_id": 110, "vision_end_token_id": 111, "vision_token_id": 112}
_INDEXER = {
    "indexer_n_heads": 4,
    "indexer_kv_heads": 1,
    "indexer_head_dim": 16,
    "indexer_budget": 16,
    "indexer_compress_ratio": 4,
}

_THREE_AXES = {"rope_parameters.mrope_section": [4, 2, 2]}  # of the halves of rotated heads
_FOUR_AXES = {"rope_parameters.mrope_section": [2, 2, 2, 2]}
_HALF_ROTATED = {"rope_parameters.mrope_section": [2, 1, 1]}


def _within(part: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {f"{part}.{name}": value for name, value in settings.items()}


CHANGES: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1, 2]},
    "chameleon": {"vocabulary_map": _SPECIAL},
    "cohere_compass": _within("text_config", _COMPASS),
    "cohere_compass_text": _COMPASS,
    "dbrx": {"attn_config.rope_theta": 10000.0, "attn_config.clip_qkv": 8},
    "deepseek_ocr2": {
        "text_config.mlp_layer_types": ["dense", "sparse", "sparse"],
        "text_config.num_experts_per_tok": 2,
    },
    "deepseek_v2": {"num_experts_per_tok": 2},
    "deepseek_v4": {"compress_rates.heavily_compressed_attention": 8},
    "diffusion_gemma": _within("text_config", _EXPERTS),
    "diffusion_gemma_text": _EXPERTS,
    "dots1": _SLIDING | {"n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2},
    "dots3_note": _within("text_config", {"head_dim": 32}) | {"audio_config.adapter_input_size": 64},
    "dots3_note_text": {"head_dim": 32},
    "emu3": {"vocabulary_map": _SPECIAL},
    "ernie4_5_vl_moe": {"text_config.rope_parameters.mrope_section": [3, 3, 2]},
    "esm": {"vocab_size": 128, "pad_token_id": 0, "mask_token_id": 99},
    "falcon_h1": {"mamba_d_head": 32},
    "fastspeech2_conformer": {"speaking_speed": 1e-6},
    "fastspeech2_conformer_with_hifigan": {"model_config.speaking_speed": 1e-6, "vocoder_config.model_in_dim": 80},
    "fun_asr_nano": {"adaptor_config.intermediate_size": 16},
    "gemma4_assistant": _within("text_config", {"hidden_size_per_layer_input": 0}),
    "glm46v": _within("text_config", _THREE_AXES),
    "glm4v": _within("text_config", _THREE_AXES),
    "glm4v_moe": _within("text_config", _HALF_ROTATED),
    "glm4v_moe_text": _HALF_ROTATED,
    "glm4v_text": _THREE_AXES,
    "glm_image": _within("text_config", _THREE_AXES),
    "glm_image_text": _THREE_AXES,
    "glm_ocr": _within("text_config", _THREE_AXES),
    "glm_ocr_text": _THREE_AXES,
    "glmga": _within("text_config", _THREE_AXES),
    "granite4_vision": {"deepstack_layer_map": [[0, 0]], "spatial_target_layers": [1, 2], "downsample_rate": "1/2"},
    "granitemoehybrid": {"layer_types": ["linear_attention", "full_attention", "full_attention"]},
    "hunyuan_vl": _within("text_config", _FOUR_AXES),
    "hunyuan_vl_text": _FOUR_AXES,
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "num_hidden_layers": 4},
    "laguna": _SLIDING | {"num_attention_heads_per_layer": [4, 2, 2]},
    "layoutlmv3": {"coordinate_size": 12, "shape_size": 8},
    "lfm2": _SHORT_CONVOLUTIONS,
    "lfm2_moe": _SHORT_CONVOLUTIONS,
    "lfm2_vl": _within("text_config", _SHORT_CONVOLUTIONS),
    "lilt": {"hidden_size": 96},
    "mamba2": {"head_dim": 32},
    "longcat_flash": {"q_lora_rank": 64, "kv_lora_rank": 64},
    "markuplm": {"max_xpath_tag_unit_embeddings": 256, "max_xpath_subs_unit_embeddings": 1024},
    "mellum": _SLIDING,
    "minimax_m3_vl": _within("text_config", _SPARSE),
    "minimax_m3_vl_text": _SPARSE,
    "mllama": {"text_config.cross_attention_layers": [1]},
    "mobilebert": {"intra_bottleneck_size": 64},
    "molmo2": {"adapter_config.vision_feature_layer": [2, 1]},
    "nemo_speechlm": {"audio_config.diarization_config.chunk_length": 24},
    "nemotron": {"num_key_value_heads": 2},
    "nemotron_h": {"layers_block_type": ["linear_attention", "full_attention", "moe", "full_attention", "mlp"]},
    "paddleocr_vl": _within("text_config", _THREE_AXES),
    "perceiver": {"num_latents": 16, "d_latents": 64, "num_self_attends_per_block": 2},
    "qwen2_5_omni_thinker": _VISION | _within("text_config", _THREE_AXES),
    "qwen2_5_vl": _within("text_config", _THREE_AXES),
    "qwen2_5_vl_text": _THREE_AXES,
    "qwen2_vl": _within("text_config", _THREE_AXES),
    "qwen2_vl_text": _THREE_AXES,
    "qwen3_omni_moe_thinker": _VISION,
    "qwen4_exp": _within("text_config", _INDEXER),
    "qwen4_exp_text": _INDEXER,
    "reformer": {"axial_pos_embds_dim": [32, 32], "axial_pos_shape": [16, 16]},
    "step3p7": _within(
        "text_config", {"layer_types": ["full_attention", *["sliding_attention"] * 3], "num_sliding_attention_heads": 2}
    ),
    "t5gemma2_encoder": {"text_config.dropout_rate": 0.0},
    "vibevoice": {"audio_config.num_filters": 2, "semantic_model_config.num_filters": 2},
    "vibevoice_asr": {
        "acoustic_tokenizer_chunk_size": 3200,
        "acoustic_tokenizer_encoder_config.num_filters": 2,
        "semantic_tokenizer_encoder_config.num_filters": 2,
    },
    "vits": {"speaking_rate": 1e6},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"attention_hidden_size": 128, "attention_head_dim": 32},
    "zamba2": {"attention_hidden_size": 128, "attention_head_dim": 32},
    "zaya": {"layer_types": ["hybrid", "hybrid_sliding", "hybrid_sliding"]},
}
