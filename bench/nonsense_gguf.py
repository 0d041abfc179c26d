"""The same nonsense for llama.cpp: a tiny language model and its eye as two GGUF files, drawn from a seed.

    python -m bench.nonsense_gguf FOLDER [--seed 0]

`llama-server -m FOLDER/model.gguf --mmproj FOLDER/eye.gguf` serves them. That server holds answers to a JSON schema, so
what comes is well formed and means nothing. The marks that close a list or a text are made likely: drawn evenly, a
list would hardly ever end.
"""

import argparse
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from bench.nonsense_model import BEGIN, CONTEXT, END, IMAGE, PAD, PATCH, SIDE, tokenizer

Arrays = dict[str, np.ndarray[Any, np.dtype[np.float32]]]
WIDTH, INNER, HEADS, KEY_HEADS, BLOCKS = 64, 128, 4, 2, 2
EYE_WIDTH, EYE_INNER, EYE_HEADS = 32, 64, 2
ALIGNMENT = 32
# How likely the closing marks are beside the others, in logits; and naught, else no confidence would be one.
CLOSING = 6.0
CHAT = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
# Types of values in the format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: object) -> tuple[int, bytes]:
    """The type of a value, and its bytes."""
    if isinstance(value, bool):
        return BOOL, struct.pack("<?", value)
    if isinstance(value, int):
        return U32, struct.pack("<I", value)
    if isinstance(value, float):
        return F32, struct.pack("<f", value)
    if isinstance(value, str):
        return STRING, _text(value)
    assert isinstance(value, list)
    if isinstance(value[0], int):
        kind, data = I32, struct.pack(f"<{len(value)}i", *value)
    else:
        kind, data = _value(value[0])[0], b"".join(_value(each)[1] for each in value)
    return ARRAY, struct.pack("<IQ", kind, len(value)) + data


def write(path: Path, facts: dict[str, object], arrays: Arrays) -> None:
    """A GGUF file of version 3 with arrays of 32-bit floats."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(arrays), len(facts))
    for name, value in facts.items():
        kind, data = _value(value)
        head += _text(name) + struct.pack("<I", kind) + data
    body = b""
    for name, array in arrays.items():
        # The format counts dimensions from the innermost.
        shape = array.shape[::-1]
        head += _text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", 0, len(body))
        body += array.astype("<f4").tobytes()
        body += bytes(-len(body) % ALIGNMENT)
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + body)


class Dice:
    """Draws weights."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def __call__(self, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return self._rng.normal(0, 0.3, shape).astype(np.float32)


def language_facts() -> dict[str, object]:
    """What the language model says of itself, its tokens included."""
    words = tokenizer()
    learned = json.loads(words.backend_tokenizer.to_str())["model"]
    tokens = [token for token, _ in sorted(learned["vocab"].items(), key=lambda one: one[1])]
    merges = [each if isinstance(each, str) else " ".join(each) for each in learned["merges"]]
    special = {BEGIN, END, PAD, IMAGE}
    return {
        "general.architecture": "llama",
        "general.name": "nonsense",
        "llama.context_length": CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.block_count": BLOCKS,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KEY_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token in special else 1 for token in tokens],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": tokens.index(BEGIN),
        "tokenizer.ggml.eos_token_id": tokens.index(END),
        "tokenizer.ggml.padding_token_id": tokens.index(PAD),
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": CHAT,
    }


def language(dice: Dice, facts: dict[str, object]) -> Arrays:
    """The weights; one direction of the stream is always there and carries what is likely everywhere."""
    tokens = facts["tokenizer.ggml.tokens"]
    assert isinstance(tokens, list)
    made = {
        "token_embd.weight": dice(len(tokens), WIDTH),
        "output.weight": dice(len(tokens), WIDTH),
    }
    made["token_embd.weight"][:, 0] = 2.0
    closing = [token == "0" or any(mark in token for mark in '"]}') for token in tokens]
    made["output.weight"][:, 0] = np.where(closing, CLOSING, 0)
    made["output_norm.weight"] = np.ones(WIDTH, np.float32)
    keys = WIDTH // HEADS * KEY_HEADS
    for number in range(BLOCKS):
        name = f"blk.{number}"
        for norm in ("attn_norm", "ffn_norm"):
            made[f"{name}.{norm}.weight"] = np.ones(WIDTH, np.float32)
        made[f"{name}.attn_q.weight"] = dice(WIDTH, WIDTH)
        made[f"{name}.attn_k.weight"] = dice(keys, WIDTH)
        made[f"{name}.attn_v.weight"] = dice(keys, WIDTH)
        made[f"{name}.attn_output.weight"] = dice(WIDTH, WIDTH)
        made[f"{name}.ffn_gate.weight"] = dice(INNER, WIDTH)
        made[f"{name}.ffn_up.weight"] = dice(INNER, WIDTH)
        made[f"{name}.ffn_down.weight"] = dice(WIDTH, INNER)
    return made


EYE_FACTS: dict[str, object] = {
    "general.architecture": "clip",
    "general.name": "nonsense",
    "clip.has_vision_encoder": True,
    "clip.projector_type": "mlp",
    "clip.use_gelu": True,
    "clip.vision.image_size": SIDE,
    "clip.vision.patch_size": PATCH,
    "clip.vision.embedding_length": EYE_WIDTH,
    "clip.vision.feed_forward_length": EYE_INNER,
    "clip.vision.projection_dim": WIDTH,
    "clip.vision.block_count": BLOCKS,
    "clip.vision.attention.head_count": EYE_HEADS,
    "clip.vision.attention.layer_norm_epsilon": 1e-5,
    "clip.vision.image_mean": [0.5, 0.5, 0.5],
    "clip.vision.image_std": [0.5, 0.5, 0.5],
}


def eye(dice: Dice) -> Arrays:
    """The weights of the eye, and of what leads from it into the language."""
    made = {
        "v.class_embd": dice(EYE_WIDTH),
        "v.patch_embd.weight": dice(EYE_WIDTH, 3, PATCH, PATCH),
        "v.position_embd.weight": dice((SIDE // PATCH) ** 2 + 1, EYE_WIDTH),
    }
    for number in range(BLOCKS):
        name = f"v.blk.{number}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            made[f"{name}.{part}.weight"] = dice(EYE_WIDTH, EYE_WIDTH)
            made[f"{name}.{part}.bias"] = dice(EYE_WIDTH)
        for norm in ("ln1", "ln2"):
            made[f"{name}.{norm}.weight"] = np.ones(EYE_WIDTH, np.float32)
            made[f"{name}.{norm}.bias"] = np.zeros(EYE_WIDTH, np.float32)
        made |= _linear(dice, f"{name}.ffn_up", EYE_INNER, EYE_WIDTH)
        made |= _linear(dice, f"{name}.ffn_down", EYE_WIDTH, EYE_INNER)
    for norm in ("v.pre_ln", "v.post_ln"):
        made[f"{norm}.weight"] = np.ones(EYE_WIDTH, np.float32)
        made[f"{norm}.bias"] = np.zeros(EYE_WIDTH, np.float32)
    return made | _linear(dice, "mm.0", WIDTH, EYE_WIDTH) | _linear(dice, "mm.2", WIDTH, WIDTH)


def _linear(dice: Dice, name: str, out: int, into: int) -> Arrays:
    return {f"{name}.weight": dice(out, into), f"{name}.bias": dice(out)}


def make(folder: Path, seed: int) -> tuple[Path, Path]:
    """Write both files; returns the model and its eye."""
    folder.mkdir(parents=True, exist_ok=True)
    dice, facts = Dice(seed), language_facts()
    model, sees = folder / "model.gguf", folder / "eye.gguf"
    write(model, facts, language(dice, facts))
    write(sees, EYE_FACTS, eye(dice))
    return model, sees


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    for path in make(wanted.folder, wanted.seed):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
