"""A Hugging Face directory that AutoModelForCausalLM and AutoTokenizer load."""
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from .architecture import Architecture
from .attention import causal_attend
from .errors import SidecarError, from_os_error
from .forward import Rotary, hidden_states
from .parameters import fused_views, model_weights, named_parameters

AGREEMENT_TOLERANCE = 1e-5


def export(architecture: Architecture, flat: torch.Tensor, tokenizer_json: bytes, chat_template: str, directory: str) -> list[str]:
    """Writes config, weights, tokenizer and chat template; returns the file names. INVALID for a relative directory.

    Refuses when transformers' forward pass over the same weights disagrees with ours (UNSUPPORTED).
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    target = Path(directory)
    if not target.is_absolute():
        raise SidecarError("INVALID", f"export directory '{directory}' must be absolute")
    difference = disagreement(architecture, flat)
    if not difference <= AGREEMENT_TOLERANCE:
        raise SidecarError("UNSUPPORTED", f"transformers' forward pass differs from the sidecar's by {difference:.1e} with this config")
    try:
        tokenizer = Tokenizer.from_str(tokenizer_json.decode("utf-8"))
    except Exception as error:
        raise SidecarError("CORRUPT", f"the tokenizer blob is not a tokenizer.json: {error}") from None
    named = _special_names([token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, chat_template=chat_template, model_max_length=architecture.max_position_embeddings, **named,
    )
    try:
        target.mkdir(parents=True, exist_ok=True)
        tensors = {name: t.detach().cpu().clone() for name, t in named_parameters(architecture, flat).items()}
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
        wrapped.save_pretrained(target, save_jinja_files=False)
        ids = {role: tokenizer.token_to_id(token) for role, token in named.items() if isinstance(token, str)}
        _write_json(target / "config.json", _config(architecture, ids))
        _write_json(target / "generation_config.json", _generation(ids))
        _write_json(target / "special_tokens_map.json", named)
    except OSError as error:
        raise from_os_error(error, f"writing the export to {directory}") from error
    return sorted(path.name for path in target.iterdir() if path.is_file())


def export_directory(root: str, directory: str) -> str:
    """`directory`, resolved, where it lies below `root`: whoever can call a sidecar must not write where its user may."""
    if not root:
        raise SidecarError("INVALID", "directory: this sidecar exports nothing; start one with --exports DIR")
    try:
        target = Path(directory)
        if target.is_absolute() and target.resolve().is_relative_to(Path(root).resolve()):
            return str(target.resolve())
    except (OSError, ValueError, RuntimeError):  # a zero byte, a circle of links, a name too long
        pass
    raise SidecarError("INVALID", "directory: it must be an absolute path below the one that --exports names")


def disagreement(architecture: Architecture, flat: torch.Tensor) -> float:
    """Largest |log-probability difference| between transformers' Qwen3 and ours on one fixed sequence."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    model = Qwen3ForCausalLM(Qwen3Config(**architecture.to_config(), attn_implementation="eager")).eval()
    flat = flat.detach().cpu()
    missing, unexpected = model.load_state_dict(named_parameters(architecture, flat), strict=False)
    if unexpected or [name for name in missing if name != "lm_head.weight"]:
        raise SidecarError("UNSUPPORTED", f"transformers names the parameters otherwise: {missing} {unexpected}")
    model.tie_weights()
    length = min(48, architecture.max_position_embeddings)
    tokens = torch.arange(7, 7 + 13 * length, 13)[:length] % architecture.vocab_size
    weights = model_weights(architecture, fused_views(architecture, flat))
    with torch.inference_mode():
        attend = causal_attend(1, length, architecture.head_dim**-0.5, flat.device)
        rotation = Rotary(architecture, flat.device).at(torch.arange(length))
        ours = hidden_states(architecture, weights, tokens, rotation, attend) @ weights.head.t()
        theirs = model(input_ids=tokens[None]).logits[0]
        return float((ours.log_softmax(-1) - theirs.log_softmax(-1)).abs().max())


def _special_names(special: list[str]) -> dict[str, str | list[str]]:
    """Roles by name: *unk*, *pad*, and the end of a turn (*im_end*, *eos* or *end*)."""
    named: dict[str, str | list[str]] = {}
    for role, hints in (("unk_token", ("unk",)), ("pad_token", ("pad",)), ("eos_token", ("im_end", "eos", "end"))):
        found = next((t for hint in hints for t in special if hint in t.lower() and "/" not in t), None)
        if found is not None:
            named[role] = found
    rest = [token for token in special if token not in named.values()]
    return {**named, "additional_special_tokens": rest} if rest else named


def _config(architecture: Architecture, ids: dict[str, int]) -> dict:
    config = {"architectures": ["Qwen3ForCausalLM"], **architecture.to_config(), "dtype": "float32"}
    return config | {f"{role.removesuffix('_token')}_token_id": i for role, i in ids.items() if role != "unk_token"}


def _generation(ids: dict[str, int]) -> dict:
    return {f"{role.removesuffix('_token')}_token_id": i for role, i in ids.items() if role != "unk_token"}


def _write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
