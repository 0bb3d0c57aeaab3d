"""The part of a Hugging Face Qwen3Config that decides the function a set of weights computes."""
import json
import math
from dataclasses import asdict, dataclass

from .errors import SidecarError

# Fields without a default: Hugging Face's own defaults are those of an 8B model and never what is meant here. The most that
# each may be, far above any model there is: a config comes from outside, and a table of positions or a list of layers is
# made before anything else can be checked.
_REQUIRED = {
    "vocab_size": 1 << 22, "hidden_size": 1 << 16, "num_hidden_layers": 1 << 10, "num_attention_heads": 1 << 10, "num_key_value_heads": 1 << 10,
    "head_dim": 1 << 10, "intermediate_size": 1 << 20, "max_position_embeddings": 1 << 20,
}
_MOST_ROTARY = 1 << 27
# With their defaults.
_NUMBERS = {"rms_norm_eps": 1e-6, "initializer_range": 0.02}
# Values under which the hand-written forward is the same function as Hugging Face's.
_ONLY_SUPPORTED = {
    "model_type": "qwen3", "hidden_act": "silu", "attention_bias": False, "attention_dropout": 0.0,
    "use_sliding_window": False,
}


@dataclass(frozen=True)
class Architecture:
    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    tie_word_embeddings: bool
    initializer_range: float

    @property
    def group_size(self) -> int:
        """Query heads per key-value head."""
        return self.num_attention_heads // self.num_key_value_heads

    def to_config(self) -> dict:
        """Fields of a Qwen3Config; `rope_theta` where transformers 5 reads it."""
        fields = asdict(self)
        theta = fields.pop("rope_theta")
        return {"model_type": "qwen3", **fields, "rope_parameters": {"rope_type": "default", "rope_theta": theta}}

    def to_json(self) -> str:
        """Canonical: equal architectures give equal text."""
        return json.dumps(self.to_config(), sort_keys=True, separators=(",", ":"))


def parse_architecture(text: str) -> Architecture:
    """Reads config JSON; SidecarError INVALID lists every problem at once."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SidecarError("INVALID", f"the model config is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise SidecarError("INVALID", "the model config is not a JSON object")
    problems = [f"{name} must be a positive integer, at most {most}" for name, most in _REQUIRED.items() if not _is_positive_int(config.get(name), most)]
    problems += [
        f"{name} must be {json.dumps(value)}" for name, value in _ONLY_SUPPORTED.items() if config.get(name, value) != value
    ]
    rope = config.get("rope_parameters") or {}
    if not isinstance(rope, dict):
        raise SidecarError("INVALID", "model config: rope_parameters must be an object")
    theta = rope.get("rope_theta", config.get("rope_theta", 10000.0))
    numbers = {name: config.get(name, default) for name, default in _NUMBERS.items()} | {"rope_theta": theta}
    problems += [f"{name} must be a finite number, at least 0" for name, value in numbers.items() if not _is_number(value)]
    if not isinstance(config.get("tie_word_embeddings", False), bool):
        problems.append("tie_word_embeddings must be true or false")
    if rope.get("rope_type", "default") != "default" or config.get("rope_scaling"):
        problems.append("only the default rotary embedding is supported")
    if not problems:
        if config["num_attention_heads"] % config["num_key_value_heads"]:
            problems.append("num_attention_heads must be a multiple of num_key_value_heads")
        if config["head_dim"] % 2:
            problems.append("head_dim must be even")
        if config["head_dim"] * config["max_position_embeddings"] > _MOST_ROTARY:
            problems.append(f"head_dim times max_position_embeddings must be at most {_MOST_ROTARY}: both tables of the rotary embedding are that long")
    if problems:
        raise SidecarError("INVALID", "model config: " + "; ".join(problems))
    return Architecture(
        **{name: config[name] for name in _REQUIRED},
        **{name: float(value) for name, value in numbers.items()},
        tie_word_embeddings=config.get("tie_word_embeddings", False),
    )


def _is_positive_int(value, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
