"""The course's scripts run with nothing but their imports changed."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

# Hugging Face's course, chapter 3, on a small model; IMPORTS is the library's name.
FINE_TUNING = """
from datasets import load_dataset
from IMPORTS import AutoTokenizer, DataCollatorWithPadding
import evaluate
import numpy as np

raw_datasets = load_dataset("glue", "mrpc")
checkpoint = "tiny-bert"
tokenizer = AutoTokenizer.from_pretrained(checkpoint)


def tokenize_function(example):
    return tokenizer(example["sentence1"], example["sentence2"], truncation=True)


tokenized_datasets = raw_datasets.map(tokenize_function, batched=True)
data_collator = DataCollatorWithPadding(tokenizer=tokenizer)

from IMPORTS import TrainingArguments

training_args = TrainingArguments("test-trainer")

from IMPORTS import AutoModelForSequenceClassification

model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=2)

from IMPORTS import Trainer

trainer = Trainer(
    model,
    training_args,
    train_dataset=tokenized_datasets["train"],
    eval_dataset=tokenized_datasets["validation"],
    data_collator=data_collator,
    processing_class=tokenizer,
)
trainer.train()

predictions = trainer.predict(tokenized_datasets["validation"])
preds = np.argmax(predictions.predictions, axis=-1)
metric = evaluate.load("accuracy")
accuracy = metric.compute(predictions=preds, references=predictions.label_ids)


def compute_metrics(eval_preds):
    metric = evaluate.load("f1")
    logits, labels = eval_preds
    predictions = np.argmax(logits, axis=-1)
    return metric.compute(predictions=predictions, references=labels)


training_args = TrainingArguments("test-trainer", eval_strategy="epoch")
trainer = Trainer(
    model,
    training_args,
    train_dataset=tokenized_datasets["train"],
    eval_dataset=tokenized_datasets["validation"],
    data_collator=data_collator,
    processing_class=tokenizer,
    compute_metrics=compute_metrics,
)
evaluation = trainer.evaluate()
"""

TWO_SENTENCES = """
import torch
from IMPORTS import AutoTokenizer, AutoModelForSequenceClassification, set_seed
from ADAMW import AdamW

set_seed(42)
checkpoint = "tiny-bert"
tokenizer = AutoTokenizer.from_pretrained(checkpoint)
model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
sequences = [
    "I've been waiting for a HuggingFace course my whole life.",
    "This course is amazing!",
]
batch = tokenizer(sequences, padding=True, truncation=True, return_tensors="pt")

batch["labels"] = torch.tensor([1, 1])

optimizer = AdamW(model.parameters())
loss = model(**batch).loss
loss.backward()
optimizer.step()
"""

TWO_SENTENCES_WITHOUT_TORCH = """
import sys
import numpy as np
from ftcore import AdamW, AutoModelForSequenceClassification, AutoTokenizer, set_seed

set_seed(42)
tokenizer = AutoTokenizer.from_pretrained("tiny-bert")
model = AutoModelForSequenceClassification.from_pretrained("tiny-bert")
sequences = [
    "I've been waiting for a HuggingFace course my whole life.",
    "This course is amazing!",
]
batch = tokenizer(sequences, padding=True, truncation=True, return_tensors="np")
batch["labels"] = np.array([1, 1])
optimizer = AdamW(model.parameters())
loss = model(**batch).loss
loss.backward()
optimizer.step()
assert "torch" not in sys.modules
print(loss.item(), model(**batch).loss.item())
"""


@pytest.fixture
def workplace(hub_folder, tmp_path, monkeypatch):
    """A current folder of its own in which the hub's names are folders."""
    for entry in hub_folder.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def two_sentences(library, adamw) -> dict:
    """The variables of the script that it leaves behind."""
    names: dict = {}
    script = TWO_SENTENCES.replace("IMPORTS", library).replace("ADAMW", adamw)
    exec(compile(script, "two_sentences", "exec"), names)
    return names


@pytest.mark.slow
def test_the_fine_tuning_script(workplace):
    script = FINE_TUNING.replace("IMPORTS", "ftcore")
    script += "import json; print(json.dumps([accuracy, evaluation, trainer.state.log_history]))\n"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    accuracy, evaluation, _ = json.loads(done.stdout.splitlines()[-1])
    # tiny-bert's weights are random: it learns to say that most pairs are paraphrases.
    assert accuracy["accuracy"] > 0.6
    assert evaluation["eval_f1"] > 0.7
    folders = sorted(path.name for path in (workplace / "test-trainer").iterdir())
    assert folders == ["checkpoint-1000", "checkpoint-1377", "checkpoint-500"]
    state = json.loads((workplace / "test-trainer/checkpoint-1377/trainer_state.json").read_text())
    assert [entry["step"] for entry in state["log_history"]] == [500, 1000]
    assert state["log_history"][0]["loss"] > state["log_history"][1]["loss"]


def test_the_two_sentences_train_as_with_transformers(workplace):
    theirs = two_sentences("transformers", "torch.optim")
    ours = two_sentences("ftcore", "ftcore")
    assert ours["loss"].item() == pytest.approx(theirs["loss"].item(), abs=1e-6)
    expected = {name: value.numpy() for name, value in theirs["model"].state_dict().items()}
    gradients = {name: p.grad.numpy() for name, p in theirs["model"].named_parameters()}
    for name, value in ours["model"].state_dict().items():
        # The first step of AdamW is the sign of the gradient: rounding decides where it is 0.
        counted = np.abs(gradients[name]) > 1e-7
        np.testing.assert_allclose(
            value[counted], expected[name][counted], rtol=0, atol=2e-5, err_msg=name
        )


def test_the_two_sentences_train_without_torch(workplace):
    expected = two_sentences("ftcore", "ftcore")["loss"].item()
    done = subprocess.run(
        [sys.executable, "-c", TWO_SENTENCES_WITHOUT_TORCH], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    before, after = map(float, done.stdout.split())
    assert before == pytest.approx(expected, abs=1e-6)
    assert after < before
