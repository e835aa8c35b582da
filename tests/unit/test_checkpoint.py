"""safetensors files in and out: names, types, and what happens to damaged ones."""

import json
import logging
import shutil

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors.torch import save_file as save_torch

from ftcore import AutoModelForSequenceClassification, set_seed
from ftcore.modeling.checkpoint import canonical_name
from ftcore.storage import TensorFile, save_tensors


@pytest.fixture
def folder(small_model, tmp_path):
    """A saved model."""
    small_model.save_pretrained(tmp_path)
    return tmp_path


def stored(folder) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "model.safetensors")


def store(folder, tensors) -> None:
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def same(model, other) -> bool:
    state, reference = model.state_dict(), other.state_dict()
    return list(state) == list(reference) and all(
        np.array_equal(state[name], reference[name]) for name in state
    )


def test_what_is_saved_is_loaded(small_model, folder):
    assert same(AutoModelForSequenceClassification.from_pretrained(folder), small_model)


def test_the_file_is_what_the_library_reads(small_model, folder):
    tensors = stored(folder)
    assert set(tensors) == set(small_model.state_dict())
    assert all(np.array_equal(tensors[n], v) for n, v in small_model.state_dict().items())
    with safetensors.safe_open(folder / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}


def test_saving_twice_replaces_the_file(small_model, folder):
    next(small_model.parameters()).data[...] = 7
    small_model.save_pretrained(folder)
    assert same(AutoModelForSequenceClassification.from_pretrained(folder), small_model)
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors"}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("bert.embeddings.LayerNorm.weight", "bert.embeddings.LayerNorm.weight"),
        ("embeddings.LayerNorm.weight", "bert.embeddings.LayerNorm.weight"),
        ("bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
        ("embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
        ("cls.predictions.bias", None),
        ("embeddings.position_ids", None),
    ],
)
def test_understands_old_and_new_names(key, name):
    assert canonical_name(key, "bert.", {"bert.embeddings.LayerNorm.weight": None}) == name


def test_loads_names_without_the_prefix_and_with_gamma_and_beta(small_model, folder):
    renamed = {}
    for name, value in stored(folder).items():
        name = name.removeprefix("bert.")
        if "LayerNorm" in name:
            name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
        renamed[name] = value
    store(folder, renamed)
    assert same(AutoModelForSequenceClassification.from_pretrained(folder), small_model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_converts_other_floating_point_types(folder, dtype):
    tensors = {name: torch.tensor(value).to(dtype) for name, value in stored(folder).items()}
    save_torch(tensors, folder / "model.safetensors")
    state = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    for name, value in tensors.items():
        assert np.array_equal(state[name], value.float().numpy()), name


def test_loads_shards_by_their_index(small_model, folder):
    tensors = stored(folder)
    names = sorted(tensors)
    parts = {"part-1.safetensors": names[::2], "part-2.safetensors": names[1::2]}
    for part, keys in parts.items():
        safetensors.numpy.save_file({key: tensors[key] for key in keys}, folder / part)
    (folder / "model.safetensors").unlink()
    weight_map = {key: part for part, keys in parts.items() for key in keys}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert same(AutoModelForSequenceClassification.from_pretrained(folder), small_model)

    (folder / "part-2.safetensors").unlink()
    with pytest.raises(OSError, match="part-2.safetensors"):
        AutoModelForSequenceClassification.from_pretrained(folder)

    index.write_text(json.dumps({"weight_map": {"x": "../part-1.safetensors"}}))
    with pytest.raises(ValueError, match=r"\.\./part-1"):
        AutoModelForSequenceClassification.from_pretrained(folder)


def test_reports_what_is_unused_and_what_is_new(folder, caplog):
    tensors = stored(folder)
    tensors["cls.predictions.bias"] = np.zeros(3, np.float32)
    del tensors["classifier.weight"], tensors["classifier.bias"]
    store(folder, tensors)
    with caplog.at_level(logging.WARNING):
        AutoModelForSequenceClassification.from_pretrained(folder)
    assert "not used by this model: cls.predictions.bias" in caplog.text
    assert "newly initialised: classifier.weight, classifier.bias" in caplog.text


def test_says_nothing_where_everything_fits(folder, caplog):
    with caplog.at_level(logging.WARNING):
        AutoModelForSequenceClassification.from_pretrained(folder)
    assert caplog.text == ""


def test_new_weights_are_those_of_transformers_after_the_same_seed(folder):
    transformers = pytest.importorskip("transformers")
    tensors = stored(folder)
    # A whole module, a table with its padding row, a norm, and one small enough to be drawn singly.
    for name in (
        "bert.pooler.dense.weight",
        "bert.embeddings.word_embeddings.weight",
        "bert.encoder.layer.1.output.LayerNorm.weight",
        "bert.encoder.layer.0.attention.self.key.weight",
        "classifier.weight",
    ):
        del tensors[name]
    store(folder, tensors)
    torch.manual_seed(5)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    torch.manual_seed(5)
    ours = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2)
    for name, value in theirs.state_dict().items():
        assert np.array_equal(ours.state_dict()[name], value.numpy()), name


def test_new_weights_are_the_same_without_torch(folder, monkeypatch):
    import sys

    tensors = stored(folder)
    del tensors["classifier.weight"], tensors["bert.pooler.dense.weight"]
    store(folder, tensors)
    set_seed(3)
    with_torch = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    monkeypatch.delitem(sys.modules, "torch")
    set_seed(3)
    without = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    for name in ("classifier.weight", "bert.pooler.dense.weight"):
        np.testing.assert_allclose(without[name], with_torch[name], rtol=0, atol=1e-8)
        assert without[name].any()


def test_a_seed_given_before_torch_is_loaded_counts_after(folder, monkeypatch):
    import sys

    tensors = stored(folder)
    del tensors["classifier.weight"]
    store(folder, tensors)
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "torch")
        set_seed(9)
    torch.manual_seed(1)
    late = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    set_seed(9)
    soon = AutoModelForSequenceClassification.from_pretrained(folder).state_dict()
    assert np.array_equal(late["classifier.weight"], soon["classifier.weight"])


def test_a_classifier_of_another_shape_is_refused_unless_told_otherwise(folder):
    with pytest.raises(ValueError, match=r"classifier.weight.*ignore_mismatched_sizes"):
        AutoModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=3, ignore_mismatched_sizes=True
    )
    assert model.state_dict()["classifier.weight"].any()


def test_float_tensors_only(folder):
    tensors = stored(folder)
    tensors["classifier.bias"] = np.zeros(2, np.int64)
    store(folder, tensors)
    with pytest.raises(ValueError, match="classifier.bias is I64"):
        AutoModelForSequenceClassification.from_pretrained(folder)


def test_the_same_weight_under_two_names_is_refused(folder):
    tensors = stored(folder)
    tensors["pooler.dense.bias"] = tensors["bert.pooler.dense.bias"]
    store(folder, tensors)
    with pytest.raises(ValueError, match=r"pooler\.dense\.bias twice"):
        AutoModelForSequenceClassification.from_pretrained(folder)


def test_weights_of_another_model_are_refused(folder):
    store(folder, {"transformer.h.0.attn.weight": np.zeros((2, 2), np.float32)})
    with pytest.raises(ValueError, match=r"transformer\.h\.0"):
        AutoModelForSequenceClassification.from_pretrained(folder)


def test_a_failed_save_leaves_the_file_that_was_there(folder, small_model, monkeypatch):
    before = (folder / "model.safetensors").read_bytes()
    next(small_model.parameters()).data[...] = 7

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ftcore.storage.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        small_model.save_pretrained(folder)
    assert (folder / "model.safetensors").read_bytes() == before
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors"}


def test_tensors_of_any_shape_go_through_a_file(tmp_path):
    tensors = {
        "scalar": np.array(3.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "strided": np.arange(12, dtype=np.float32).reshape(3, 4).T,
    }
    entries = [(name, value.shape, lambda v=value: v) for name, value in tensors.items()]
    save_tensors(tmp_path / "x.safetensors", entries, {})
    file = TensorFile(tmp_path / "x.safetensors")
    for name, value in tensors.items():
        assert np.array_equal(file.read(name, value.shape), value)
    assert file.names() == list(tensors)


def test_the_model_of_a_moved_folder_loads(folder, tmp_path_factory):
    moved = tmp_path_factory.mktemp("elsewhere") / "model"
    shutil.move(folder, moved)
    AutoModelForSequenceClassification.from_pretrained(str(moved))
