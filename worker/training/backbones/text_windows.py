"""Prompts cut into windows of a text encoder's length; nothing is dropped."""

from typing import Any


def clip_windows(tokenizer: Any, prompt: str) -> list[tuple[int, ...]]:
    """All tokens of a prompt in windows of CLIP's length (77), each with start, end and padding."""
    room = tokenizer.model_max_length - 2
    return [
        (tokenizer.bos_token_id, *piece, tokenizer.eos_token_id)
        + (tokenizer.pad_token_id,) * (room - len(piece))
        for piece in _pieces(tokenizer, prompt, room)
    ]


def t5_windows(tokenizer: Any, prompt: str, length: int) -> list[tuple[int, ...]]:
    """All tokens of a prompt in windows of `length`, each with end and padding."""
    room = length - 1
    return [
        (*piece, tokenizer.eos_token_id) + (tokenizer.pad_token_id,) * (room - len(piece))
        for piece in _pieces(tokenizer, prompt, room)
    ]


def _pieces(tokenizer: Any, prompt: str, room: int) -> list[list[int]]:
    ids = tokenizer(prompt, add_special_tokens=False, truncation=False, verbose=False).input_ids
    return [ids[i : i + room] for i in range(0, len(ids), room)] or [[]]
