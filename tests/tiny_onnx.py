"""A model of a few nodes in ONNX form, written by hand: its logit is the sum of its second text's word weights."""

from __future__ import annotations

import math
import struct
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

WEIGHTS = {"[UNK]": 0.0, "[CLS]": 0.0, "[SEP]": 0.0, "plain": 0.0, "good": 1.0, "bad": -1.0, "nan": math.nan}


def varint(value: int) -> bytes:
    done = bytearray()
    while value > 127:
        done.append(value & 127 | 128)
        value >>= 7
    return bytes([*done, value])


def field(number: int, value: int | str | bytes) -> bytes:
    """One field of a protobuf message: a number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def node(kind: str, inputs: list[str], output: str, **attributes: int) -> bytes:
    content = b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)
    for name, value in attributes.items():
        content += field(5, field(1, name) + field(3, value) + field(20, 2))
    return field(1, content)


def tensor(name: str, kind: int, dims: list[int], raw: bytes) -> bytes:
    return field(5, b"".join(field(1, size) for size in dims) + field(2, kind) + field(8, name) + field(9, raw))


def value(number: int, name: str, kind: int, dims: list[int | str]) -> bytes:
    sizes = b"".join(field(1, field(1 if isinstance(size, int) else 2, size)) for size in dims)
    return field(number, field(1, name) + field(2, field(1, field(1, kind) + field(2, sizes))))


def model_bytes(
    logits: int = 1, *, inputs: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids")
) -> bytes:
    """logit = sum over the tokens of the second segment of their weight; with two logits, (-logit, logit)."""
    graph = node("Gather", ["weights", inputs[0]], "each") + node("Cast", [inputs[1]], "mask", to=1)
    graph += node("Cast", [inputs[2]], "second", to=1) + node("Mul", ["each", "mask"], "seen")
    graph += node("Mul", ["seen", "second"], "passage")
    graph += node("ReduceSum", ["passage", "axes"], "logits" if logits == 1 else "sum", keepdims=1)
    if logits > 1:
        graph += node("Neg", ["sum"], "against")
        graph += node("Concat", ["against", *["sum"] * (logits - 1)], "logits", axis=1)
    weights = struct.pack(f"<{len(WEIGHTS)}f", *WEIGHTS.values())
    graph += (
        field(2, "tiny") + tensor("weights", 1, [len(WEIGHTS)], weights) + tensor("axes", 7, [1], struct.pack("<q", 1))
    )
    graph += b"".join(value(11, name, 7, ["batch", "tokens"]) for name in inputs)
    graph += value(12, "logits", 1, ["batch", logits])
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def folder_with(folder: Path, model: bytes, place: str = "model.onnx") -> Path:
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_bytes(model)
    words = Tokenizer(WordLevel({word: at for at, word in enumerate(WEIGHTS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    words.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    words.save(str(folder / "tokenizer.json"))
    return folder
