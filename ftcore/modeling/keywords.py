"""Keywords of transformers that ask for what happens anyway, and values that do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftcore.devices import resolve_device

_FLOAT32 = ("auto", "float32", "torch.float32")
_DTYPE = "the model computes in float32; leave it out"
_OUTPUTS = "the output has the loss and logits alone; leave it out"
_PICKLE = "weights are kept as safetensors; leave it out"
_NO_HUB = "upload the saved folder with huggingface_hub's upload_folder"

# Each with the values that change nothing, as text, and what to do instead of another.
_LOADING: dict[str, tuple[tuple[str, ...], str]] = {
    "dtype": (_FLOAT32, _DTYPE),
    "torch_dtype": (_FLOAT32, _DTYPE),
    "attn_implementation": (("eager", "sdpa"), "attention is the core's own; leave it out"),
    "low_cpu_mem_usage": (("True", "False"), "leave it out"),
    "use_safetensors": (("True",), _PICKLE),
    "return_dict": (("True",), "call the model with return_dict=False"),
    "trust_remote_code": (("False",), "no code is loaded with a model; leave it out"),
    "output_attentions": (("False",), _OUTPUTS),
    "output_hidden_states": (("False",), _OUTPUTS),
}
_SAVING: dict[str, tuple[tuple[str, ...], str]] = {
    "is_main_process": (("True",), "there is one process; leave it out"),
    "safe_serialization": (("True",), _PICKLE),
    "push_to_hub": (("False",), _NO_HUB),
}


def without_loading_keywords(keywords: dict[str, Any]) -> dict[str, Any]:
    """The keywords of from_pretrained that are left to heed.

    Raises ValueError, which names it, for a value that asks for what is not supported.
    """
    return _without("from_pretrained", keywords, _LOADING)


def device_of_map(device_map: Any) -> str:
    """The one device that transformers' device_map asks for: the CPU where it is None, the default
    device where it is "auto".

    Raises ValueError for a map of several, RuntimeError for a device that cannot be used.
    """
    if isinstance(device_map, Mapping):
        if set(device_map) != {""}:
            raise ValueError(
                f"from_pretrained(device_map={device_map!r}) is not supported: a model is on one "
                'device, as with {"": "cuda:0"}'
            )
        device_map = device_map[""]
    if device_map is None:
        return "cpu"
    return resolve_device(None if device_map == "auto" else device_map)


def check_saving_keywords(keywords: dict[str, Any]) -> None:
    """Raises ValueError for a keyword of save_pretrained that asks for what is not supported.

    Raises TypeError for one that is not known. Both name it.
    """
    for name in _without("save_pretrained", keywords, _SAVING):
        raise TypeError(f"save_pretrained() got an unexpected keyword {name!r}")


def _without(
    function: str, keywords: dict[str, Any], known: dict[str, tuple[tuple[str, ...], str]]
) -> dict[str, Any]:
    rest = {}
    for name, value in keywords.items():
        if name not in known:
            rest[name] = value
            continue
        accepted, advice = known[name]
        if value is not None and str(value) not in accepted:
            raise ValueError(f"{function}({name}={value!r}) is not supported: {advice}")
    return rest
