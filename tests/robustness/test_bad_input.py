"""Bad input gets a clear exception of the usual type, before any work, and loses nothing."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from ftcore import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)
from ftcore.modeling.config import load_config

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
}
ROW = {"input_ids": [2, 5, 6, 3], "labels": 1}


@pytest.fixture
def model():
    set_seed(0)
    return BertForSequenceClassification(BertConfig(**SMALL))


@pytest.fixture
def folder(model, tmp_path):
    """A saved model."""
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def make(model, tmp_path):
    """Makes a Trainer over rows."""

    def trainer(rows, folder="out", **options):
        options = {"disable_tqdm": True, "save_strategy": "no", "num_train_epochs": 1, **options}
        return Trainer(model, TrainingArguments(tmp_path / folder, **options), train_dataset=rows)

    return trainer


def load(folder):
    return AutoModelForSequenceClassification.from_pretrained(folder)


def edit_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def weights(model):
    return {name: value.copy() for name, value in model.state_dict().items()}


def assert_untouched(model, before):
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())


# Files of a model


def test_a_model_that_does_not_exist():
    with pytest.raises(OSError, match="no-such-model"):
        load("no-such-model")
    with pytest.raises(OSError, match="neither a folder nor a model"):
        load("no/such/model/anywhere")


def test_a_file_for_a_folder(folder):
    with pytest.raises(OSError, match="config.json is a file"):
        load(folder / "config.json")


def test_a_missing_config(folder):
    (folder / "config.json").unlink()
    with pytest.raises(OSError, match=r"no config\.json"):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[]", "\xff\xfe", ""])
def test_a_damaged_config(folder, text):
    (folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"config\.json"):
        load(folder)


def test_missing_weights(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"no model\.safetensors"):
        load(folder)


def test_weights_as_a_pickle_are_not_read(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(OSError, match=r"pytorch_model\.bin is a pickle"):
        load(folder)


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 0.5, -1])
def test_truncated_weights(folder, kept):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError, match=r"model\.safetensors is not a whole safetensors file"):
        load(folder)


def test_random_bytes_for_weights(folder):
    path = folder / "model.safetensors"
    generator = np.random.default_rng(0)
    for size in (1, 8, 9, 1000):
        path.write_bytes(generator.bytes(size))
        with pytest.raises(ValueError, match=r"not a whole safetensors file"):
            load(folder)


def test_weights_of_the_wrong_shape(folder):
    edit_config(folder, intermediate_size=32)
    with pytest.raises(ValueError, match=r"intermediate\.dense\.weight has shape \(24, 16\)"):
        load(folder)


# Configurations


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"model_type": "gpt2"}, "gpt2.*supported are bert, distilbert"),
        ({"model_type": None, "architectures": ["T5Model"]}, "no model_type.*T5Model"),
        ({"hidden_act": "gelu_new"}, "hidden_act 'gelu_new'.*'gelu'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key'"),
        ({"is_decoder": True}, "is_decoder"),
        ({"add_cross_attention": True}, "add_cross_attention"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"hidden_size": 15}, "hidden_size"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"num_hidden_layers": "two"}, "num_hidden_layers"),
        ({"vocab_size": -1}, "vocab_size"),
        ({"vocab_size": 10**12}, "vocab_size"),
        ({"pad_token_id": 50}, "pad_token_id"),
        ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps"),
        ({"problem_type": "ranking"}, "problem_type"),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label"),
        ({"id2label": ["a", "b"]}, "id2label"),
        ({"num_labels": 0, "id2label": None, "label2id": None}, "num_labels"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_configuration_that_cannot_be_built(folder, values, named):
    edit_config(folder, **values)
    with pytest.raises((ValueError, OverflowError), match=named):
        load(folder)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"activation": "relu"}, "activation 'relu'"),
        ({"sinusoidal_pos_embds": True}, "sinusoidal_pos_embds"),
        ({"n_heads": 7}, "num_attention_heads"),
        ({"attention_dropout": -0.1}, "attention_dropout"),
    ],
)
def test_a_distilbert_that_cannot_be_built(tmp_path, values, named):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "distilbert", **values}))
    with pytest.raises(ValueError, match=named):
        AutoModelForSequenceClassification.from_config(load_config(tmp_path))


# Vocabularies


@pytest.mark.parametrize("missing", ["[UNK]", "[CLS]"])
def test_a_vocabulary_without_a_special_token(tmp_path, missing):
    tokens = [t for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "word") if t != missing]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    with pytest.raises(ValueError, match=missing.strip("[]")):
        AutoTokenizer.from_pretrained(tmp_path)


def test_empty_texts_are_sequences_too(model, tmp_path):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "word"]
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    batch = tokenizer(["", "word"], padding=True, return_tensors="np")
    logits = model.eval()(**batch).logits
    np.testing.assert_allclose(logits[0], model([[2, 3]]).logits[0], rtol=1e-5)


# Batches


@pytest.mark.parametrize(
    ("inputs", "error", "named"),
    [
        ({}, ValueError, "input_ids"),
        ({"input_ids": []}, ValueError, "input_ids"),
        ({"input_ids": [[]]}, ValueError, "."),
        ({"input_ids": np.zeros((0, 4), int)}, ValueError, "."),
        ({"input_ids": [1, 2]}, ValueError, "dimension"),
        ({"input_ids": [[1.5, 2.0]]}, TypeError, "input_ids"),
        ({"input_ids": [["a", "b"]]}, TypeError, "input_ids"),
        ({"input_ids": [[1, 2], [3]]}, ValueError, "."),
        ({"input_ids": [[1, 50]]}, IndexError, "50"),
        ({"input_ids": [[1, -1]]}, IndexError, "-1"),
        ({"input_ids": [[1, 2**40]]}, (ValueError, IndexError), "."),
        ({"input_ids": [[1] * 13]}, (ValueError, IndexError), "12"),
        ({"input_ids": [[1, 2]], "attention_mask": [[0, 0]]}, ValueError, "mask"),
        ({"input_ids": [[1, 2]], "attention_mask": [[1]]}, ValueError, "attention_mask"),
        ({"input_ids": [[1, 2]], "token_type_ids": [[0, 2]]}, IndexError, "2"),
        ({"input_ids": [[1, 2]], "position_ids": [[0, 12]]}, (ValueError, IndexError), "12"),
        ({"input_ids": [[1, 2]], "labels": [2]}, IndexError, "2"),
        ({"input_ids": [[1, 2]], "labels": [-1]}, IndexError, "-1"),
        ({"input_ids": [[1, 2]], "labels": [0, 1]}, ValueError, "labels"),
        ({"input_ids": [[1, 2]], "labels": []}, ValueError, "labels"),
        ({"input_ids": [[1, 2]], "labels": ["yes"]}, (ValueError, TypeError), "."),
        ({"input_ids": [[1, 2]], "labels": [[0.0, 1.0, 0.0]]}, ValueError, "labels"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_batch_the_model_cannot_take(model, inputs, error, named):
    before = weights(model)
    with pytest.raises(error, match=named):
        model(**inputs)
    assert_untouched(model, before)
    assert model([[2, 5, 3]]).logits.shape == (1, 2)


def test_inputs_elsewhere_than_on_the_cpu(model):
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="on the CPU"):
        model(torch.zeros((1, 3), dtype=torch.long, device="meta"))


def test_backward_without_a_loss(model):
    assert model([[2, 5, 3]]).loss is None
    with pytest.raises(RuntimeError):
        model.core.backward()


# Data sets: refused before training


@pytest.mark.parametrize(
    ("rows", "error", "named"),
    [
        ([], ValueError, "empty"),
        (None, ValueError, "train_dataset"),
        ([{"input_ids": [2, 3]}], ValueError, "no labels"),
        ([ROW, {"input_ids": [2, 3], "labels": 2}], ValueError, "row 1 has the label 2"),
        ([ROW, {"input_ids": [2, 3], "labels": -1}], ValueError, "row 1 has the label -1"),
        ([ROW, {"input_ids": [2, 3]}], KeyError, "labels"),
        ([ROW, {"input_ids": [2, 50, 3], "labels": 0}], ValueError, "row 1 has the token id 50"),
        ([ROW, {"input_ids": [2] * 13, "labels": 0}], ValueError, "row 1 has 13 tokens.*truncat"),
        ([ROW, {"input_ids": [], "labels": 0}], ValueError, "row 1"),
        ([{"text": "not tokenized", "labels": 0}], ValueError, "input_ids"),
        ([{"input_ids": "words", "labels": 0}], TypeError, "input_ids"),
        ({"input_ids": [[2, 3]], "labels": [0]}, TypeError, "dict"),
        (iter([ROW]), TypeError, "sequence"),
        ([{"input_ids": [2, 3], "labels": [0.5, 0.5, 0.5]}], ValueError, "3"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_data_set_that_cannot_be_trained_on(make, rows, error, named):
    trainer = make(rows)
    before = weights(trainer.model)
    with pytest.raises(error, match=named):
        trainer.train()
    assert_untouched(trainer.model, before)
    assert trainer.state.global_step == 0


def test_a_last_batch_that_is_dropped_and_was_the_only_one(make):
    with pytest.raises(ValueError, match="dataloader_drop_last"):
        make([ROW] * 3, dataloader_drop_last=True).train()


def test_a_collator_that_gives_something_else(make):
    trainer = make([ROW] * 3)
    trainer.data_collator = lambda rows: {"tokens": [r["input_ids"] for r in rows]}
    with pytest.raises(ValueError, match="the collator gave tokens"):
        trainer.train()


def test_a_collator_that_gives_no_labels(make):
    trainer = make([ROW] * 3)
    trainer.data_collator = lambda rows: {"input_ids": [r["input_ids"] for r in rows]}
    before = weights(trainer.model)
    with pytest.raises(ValueError, match="labels"):
        trainer.train()
    assert_untouched(trainer.model, before)


def test_evaluation_without_or_with_an_empty_data_set(make):
    trainer = make([ROW])
    with pytest.raises(ValueError, match="eval_dataset"):
        trainer.evaluate()
    with pytest.raises(ValueError, match="empty"):
        trainer.evaluate([])
    with pytest.raises(ValueError, match="eval_strategy"):
        make([ROW], eval_strategy="epoch")


# Training that goes wrong


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_reported_with_its_step(make, poison):
    from ftcore import TrainerCallback

    class Poison(TrainerCallback):
        def on_step_begin(self, args, state, control, model=None, **kwargs):
            if state.global_step == 2:
                model.state_dict()["classifier.weight"][0, 0] = poison

    trainer = make([ROW] * 40, max_steps=5)
    trainer.add_callback(Poison)
    at_step = {}

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            at_step.update(weights(model))

    trainer.add_callback(Watch)
    with pytest.raises(FloatingPointError, match="step 3"):
        trainer.train()
    assert trainer.state.global_step == trainer.optimizer.steps == 2
    at_step["classifier.weight"][0, 0] = poison
    for name, value in trainer.model.state_dict().items():
        assert np.array_equal(value, at_step[name], equal_nan=True), name


def test_an_output_folder_that_cannot_be_written(model, make, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        make([ROW], folder="file/out")
    with pytest.raises(OSError, match="file"):
        model.save_pretrained(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to any folder")
def test_an_output_folder_without_permission(make, tmp_path):
    trainer = make([ROW])
    (tmp_path / "out").chmod(0o500)
    with pytest.raises(PermissionError):
        trainer.train()
    assert trainer.state.global_step == 0


def test_an_output_folder_that_disappears_is_made_again(make, tmp_path):
    trainer = make([ROW])
    (tmp_path / "out").rmdir()
    trainer.train()
    assert (tmp_path / "out").is_dir()


# A limit on the size of files stands in for a full disk: writing fails in the middle of a file.
FULL_DISK = """
import resource, sys
from ftcore import (BertConfig, BertForSequenceClassification, Trainer, TrainerCallback,
                    TrainingArguments)

class Fill(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_AT, resource.RLIM_INFINITY))

model = BertForSequenceClassification(BertConfig(**SMALL))
args = TrainingArguments(sys.argv[1], max_steps=2, save_steps=1, disable_tqdm=True)
trainer = Trainer(model, args, train_dataset=[ROW] * 9, callbacks=[Fill])
try:
    trainer.train()
except OSError as error:
    print(error)
    assert trainer.state.global_step == 2
    assert trainer.evaluate([ROW])["eval_loss"] > 0
else:
    raise SystemExit("the disk was not full")
"""


@pytest.mark.parametrize("limit", [10, 5000, 20000])
def test_a_full_disk_leaves_the_previous_checkpoint_whole(tmp_path, limit):
    script = FULL_DISK.replace("SMALL", repr(SMALL)).replace("ROW", repr(ROW))
    done = subprocess.run(
        [sys.executable, "-c", script.replace("FULL_AT", str(limit)), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "checkpoint-2 could not be saved" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-1"]
    load(tmp_path / "checkpoint-1")


# Resuming


@pytest.fixture
def checkpoint(make, tmp_path):
    """A checkpoint after one step."""
    make([ROW] * 9, max_steps=1, save_strategy="steps", save_steps=1).train()
    return tmp_path / "out" / "checkpoint-1"


def test_resuming_from_nothing(make, tmp_path):
    with pytest.raises(ValueError, match="no checkpoint"):
        make([ROW]).train(resume_from_checkpoint=True)
    with pytest.raises(OSError, match="not a checkpoint"):
        make([ROW]).train(resume_from_checkpoint=tmp_path)


@pytest.mark.parametrize(
    "name", ["trainer_state.json", "optimizer.json", "scheduler.json", "optimizer.safetensors"]
)
def test_resuming_from_a_damaged_checkpoint(make, checkpoint, name):
    (checkpoint / name).write_text("{")
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        make([ROW] * 9).train(resume_from_checkpoint=checkpoint)


def test_resuming_from_pickles(make, checkpoint):
    (checkpoint / "optimizer.safetensors").rename(checkpoint / "optimizer.pt")
    with pytest.raises(OSError, match=r"optimizer\.pt is a pickle"):
        make([ROW] * 9).train(resume_from_checkpoint=checkpoint)


def test_resuming_from_another_models_checkpoint(checkpoint, tmp_path):
    other = BertForSequenceClassification(BertConfig(**{**SMALL, "num_hidden_layers": 2}))
    args = TrainingArguments(tmp_path / "other", disable_tqdm=True)
    with pytest.raises(ValueError, match="lacks"):
        Trainer(other, args, train_dataset=[ROW]).train(resume_from_checkpoint=checkpoint)


def test_the_folder_of_a_checkpoint_is_left_clean(checkpoint):
    assert all(not path.name.startswith(".") for path in pathlib.Path(checkpoint).rglob("*"))
    assert [path.name for path in checkpoint.parent.iterdir()] == ["checkpoint-1"]
