"""Models by name: out of the hub's cache, with no network."""

import json
import shutil

import numpy as np
import pytest

from ftcore import AutoModelForSequenceClassification
from ftcore.hub import find_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(small_model, tmp_path, monkeypatch):
    """A hub's cache that holds org/small."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = tmp_path / "cache" / "models--org--small"
    small_model.save_pretrained(model / "snapshots" / COMMIT)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)
    return tmp_path / "cache"


def load(cache, name="org/small", **options):
    return AutoModelForSequenceClassification.from_pretrained(name, cache_dir=cache, **options)


def test_a_cached_model_loads_by_its_name(cache, small_model):
    state = load(cache).state_dict()
    assert all(np.array_equal(state[n], v) for n, v in small_model.state_dict().items())
    load(cache, revision=COMMIT)


def test_a_cached_model_in_shards_loads(cache, small_model):
    snapshot = cache / "models--org--small" / "snapshots" / COMMIT
    shutil.move(snapshot / "model.safetensors", snapshot / "shard.safetensors")
    weight_map = dict.fromkeys(small_model.state_dict(), "shard.safetensors")
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    state = load(cache).state_dict()
    assert all(np.array_equal(state[n], v) for n, v in small_model.state_dict().items())


def test_a_model_that_is_not_cached_is_named(cache):
    with pytest.raises(OSError, match="org/large is no folder here"):
        load(cache, "org/large")


def test_weights_that_are_not_cached_are_named(cache):
    (cache / "models--org--small" / "snapshots" / COMMIT / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"model\.safetensors could not be had"):
        load(cache)


def test_a_folder_comes_before_a_name(cache, small_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    next(small_model.parameters()).data[...] = 7
    small_model.save_pretrained("org/small")
    state = load(cache).state_dict()
    assert all(np.array_equal(state[n], v) for n, v in small_model.state_dict().items())


def test_a_subfolder_of_a_folder(small_model, tmp_path):
    small_model.save_pretrained(tmp_path / "inner")
    assert find_file(tmp_path, "config.json") is None
    assert find_file(tmp_path, "config.json", subfolder="inner") is not None
    AutoModelForSequenceClassification.from_pretrained(tmp_path, subfolder="inner")
