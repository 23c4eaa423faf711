"""A configuration of transformers made small, attribute by attribute, by their names.

What is not named here stays as it is, and is not given, so that what follows from other attributes follows from the
small ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

from transformers import PretrainedConfig

VOCABULARY: Final = 100
IMAGE: Final = 64


def _all(names: str, value: object) -> dict[str, object]:
    return dict.fromkeys(names.split(), value)


_SMALL: Final[dict[str, object]] = {
    **_all("hidden_size d_model n_embd dim embed_dim model_dim embedding_size emb_dim projection_dim", 32),
    **_all("decoder_hidden_size encoder_hidden_size out_hidden_size hidden_dim word_embed_proj_dim", 32),
    **_all("rnn_hidden_size conv_dim embedding_dim mlp_dim attention_hidden_size num_filters", 32),
    **_all("intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_ff d_inner n_inner ffn_hidden_size", 64),
    **_all("moe_intermediate_size shared_expert_intermediate_size dense_intermediate_size mlp_hidden_size", 64),
    **_all("num_hidden_layers num_layers n_layer n_layers encoder_layers decoder_layers num_decoder_layers", 2),
    **_all("num_encoder_layers num_blocks depth layers num_stages_to_use", 2),
    **_all("num_attention_heads num_heads n_head n_heads encoder_attention_heads decoder_attention_heads", 4),
    **_all("num_key_value_heads n_kv_heads", 2),
    **_all("head_dim d_kv kv_channels attention_head_size v_head_dim qk_nope_head_dim qk_rope_head_dim", 8),
    **_all("rotary_dim linear_key_head_dim linear_value_head_dim swa_head_dim index_head_dim", 8),
    **_all("kv_lora_rank q_lora_rank", 16),
    "coordinate_size": 6,  # four of them and two of the next are a hidden_size
    "shape_size": 4,
    **_all("mamba_n_heads mamba_d_head", 8),
    **_all("linear_num_key_heads linear_num_value_heads", 2),
    **_all("num_experts num_local_experts n_routed_experts moe_num_experts num_experts_per_layer", 4),
    **_all("num_experts_per_tok num_selected_experts moe_topk moe_k top_k_experts", 2),
    **_all("n_group topk_group first_k_dense_replace", 1),
    **_all("vocab_size vocab_size_per_layer_input decoder_vocab_size entity_vocab_size", VOCABULARY),
    **_all("max_position_embeddings n_positions max_source_positions max_target_positions n_ctx", 64),
    **_all("num_conv_pos_embeddings num_conv_pos_embedding_groups feature_projection_input_dim", 16),
    **_all("classifier_proj_size", 16),
    **_all("pad_token_id", 0),
    **_all("bos_token_id decoder_start_token_id", 1),
    **_all("eos_token_id sep_token_id forced_eos_token_id", 2),
    **_all("image_size", IMAGE),
    **_all("window_size", 2),
    **_all("num_groups", 4),
    **_all("patch_size", 8),
    **_all("depths decoder_depths encoder_depths num_block_repeats", 1),
    **_all("apply_spec_augment use_cache axial_pos_embds", False),
    "default_language": "en_XX",
    "attention_types": [[["global", "local"], 1]],
}  # fmt: skip
"""By name; of a list, each member. Widths in lists double from stage to stage instead."""
_SET_WHERE_NONE: Final = ("pad_token_id", "vocab_size", "head_dim", "default_language")
_WIDTHS: Final = ("hidden_sizes", "embed_dims", "dims", "neck_hidden_sizes", "encoder_hidden_sizes", "channels")
_DRAWN: Final = (
    "dropout",
    "drop_path",
    "layerdrop",
    "drop_rate",
    "pdrop",
    "jitter",
    "mask_time_prob",
    "mask_feature_prob",
)
"""Parts of the names of shares of what is left out at random while training."""
_FOLLOW_FROM_STAGES: Final = ("num_layers", "num_hidden_layers", "hidden_size", "hidden_dim", "patch_size")


def small(default: Any) -> Any:  # noqa: ANN401  transformers' configurations share no useful type
    """A configuration of the same class, with small numbers."""
    unused = itertools.count(VOCABULARY - 1, -1)
    old = vars(default)
    given = {name: new for name, value in old.items() if (new := _smaller(name, value, unused)) is not value}
    if "depths" in given or "num_block_repeats" in given:
        given = {name: value for name, value in given.items() if name not in _FOLLOW_FROM_STAGES}
    if "num_key_value_heads" in old and old["num_key_value_heads"] == old.get("num_attention_heads"):
        given["num_key_value_heads"] = given.get("num_attention_heads")
    if "expand" in old and "num_heads" in given:
        given["num_heads"] = given["hidden_size"] * old["expand"] // given["head_dim"]
    return type(default)(**given)


def _smaller(name: str, value: Any, unused: Iterator[int]) -> Any:  # noqa: ANN401  any type that JSON has
    if isinstance(value, PretrainedConfig):
        return small(value)
    if isinstance(value, float) and any(part in name for part in _DRAWN):
        return 0.0
    if isinstance(value, list | tuple):
        return _smaller_list(name, value)
    if name in _SMALL and (value is not None or name in _SET_WHERE_NONE):
        return _SMALL[name]
    if name.endswith(("_token_id", "_token_index")) and value is not None:
        return next(unused)
    return value


def _smaller_list(name: str, value: Any) -> Any:  # noqa: ANN401  a list or a tuple, whichever it was
    if name in _WIDTHS:
        return type(value)(16 * 2**stage for stage in range(len(value)))
    if name in {"layer_types", "layers_block_type"} and value:
        return [value[0], value[-1]]
    if name.endswith(("_token_id", "intermediate_size")) or name not in _SMALL:
        return _SMALL.get(name, value)
    each = _SMALL[name]
    return each if isinstance(each, list) else type(value)([each] * len(value))
