"""The same steps on ftcore's tokenizer and on transformers', and their outcomes compared."""

import copy
import json
import pathlib
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import torch
import transformers
from tokenizer_support import VOCAB

import ftcore
from ftcore import tokenization

transformers.logging.set_verbosity_error()


class Pair:
    """A tokenizer of either library, loaded from the same files."""

    def __init__(self, name: str | pathlib.Path) -> None:
        self._sides = [
            SimpleNamespace(tokenizer=auto.from_pretrained(name), AddedToken=added)
            for auto, added in (
                (ftcore.AutoTokenizer, tokenization.AddedToken),
                (transformers.AutoTokenizer, transformers.AddedToken),
            )
        ]

    def outcomes(self, steps) -> list:
        """What ``steps(tokenizer, AddedToken)`` comes to with copies of ours and of theirs."""
        return [
            _outcome(steps, copy.deepcopy(side.tokenizer), side.AddedToken) for side in self._sides
        ]

    def assert_alike(self, steps) -> None:
        """The steps return equal values of equal types, or raise the same exception."""
        ours, theirs = self.outcomes(steps)
        assert ours == theirs
        assert repr(ours) == repr(theirs)  # True == 1 == 1.0


def _outcome(steps, tokenizer, added_token):
    try:
        return _plain(steps(tokenizer, added_token))
    except (AttributeError, NameError):
        raise  # the steps are wrong, or one side lacks what they use
    except Exception as error:
        return type(error)


def _plain(value):
    if isinstance(value, np.ndarray) and value.dtype == object:  # rows that differ in length
        return [_plain(row) for row in value]
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return type(value).__name__, str(value.dtype), value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    if type(value).__name__ == "AddedToken":
        return repr(value)
    return value


def made_up_pair(folder: pathlib.Path, config: Mapping | None = None) -> Pair:
    """Either library's tokenizer of the made-up vocabulary, whose files are put in a folder."""
    tokens = sorted(VOCAB, key=VOCAB.__getitem__)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "tokenizer_config.json").write_text(json.dumps(config or {}))
    return Pair(folder)
