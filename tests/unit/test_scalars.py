"""NumPy's scalars are numbers, wherever numbers are expected."""

import json

import numpy as np
import pytest

import ftcore
from ftcore import AdamW, BertConfig, TrainingArguments


def test_configurations_take_them_and_are_saved(tmp_path):
    config = BertConfig(num_labels=np.int64(3), hidden_size=np.int32(8), hidden_dropout_prob=0.5)
    config.classifier_dropout = np.float32(0.25)
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert len(saved["id2label"]) == 3
    assert (saved["hidden_size"], saved["classifier_dropout"]) == (8, 0.25)
    with pytest.raises(ValueError, match="num_labels must be an integer"):
        BertConfig(num_labels=np.float32(2.5))


def test_models_load_with_them(tmp_path, small_model):
    small_model.save_pretrained(tmp_path)
    model = ftcore.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, num_labels=np.int64(3), ignore_mismatched_sizes=True
    )
    assert model(input_ids=[[2, 3]]).logits.shape == (1, 3)


def test_training_arguments_take_them():
    args = TrainingArguments(
        "x",
        seed=np.int64(3),
        learning_rate=np.float32(0.25),
        max_steps=np.int32(7),
        per_device_train_batch_size=np.int64(2),
        logging_steps=np.float64(0.5),
    )
    values = json.loads(args.to_json_string())
    assert (values["seed"], values["learning_rate"], values["max_steps"]) == (3, 0.25, 7)
    assert (values["per_device_train_batch_size"], values["logging_steps"]) == (2, 0.5)
    with pytest.raises(ValueError, match="seed must be an integer"):
        TrainingArguments("x", seed=np.float64(3.5))


def test_optimizers_and_schedules_take_them(small_model):
    optimizer = AdamW(
        small_model.parameters(), lr=np.float32(0.25), betas=np.array([0.5, 0.75], np.float32)
    )
    schedule = ftcore.get_scheduler("linear", optimizer, np.int64(0), np.int64(2))
    small_model(input_ids=[[2, 3]], labels=[1]).loss.backward()
    ftcore.clip_grad_norm_(small_model.parameters(), np.float32(1))
    optimizer.step()
    schedule.step()
    assert schedule.get_last_lr() == [0.125]
    group = optimizer.param_groups[0]
    assert json.dumps(group["betas"]) == "[0.5, 0.75]"
    with pytest.raises(ValueError, match="lr must be a number"):
        AdamW(small_model.parameters(), lr=np.float32("nan"))
