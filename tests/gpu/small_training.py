"""A training run of a few steps on made-up rows. As a program, `python small_training.py STEPS`, it
trains on the GPU in each precision that it takes."""

import sys
import tempfile

import numpy as np

import ftcore

WORDS = 200
SIZES = {
    "vocab_size": WORDS,
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 256,
    "max_position_embeddings": 64,
}
ARGUMENTS = {"float32": {}, "bfloat16": {"bf16": True}, "float16": {"fp16": True}}


def rows(count):
    """Rows of 3 to 40 tokens, whose first says the label."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        ids = rng.integers(20, WORDS, rng.integers(3, 41)).tolist()
        made.append({"input_ids": [10 + number % 2, *ids[1:]], "label": number % 2})
    return made


def train(steps, precision="float32", use_cpu=False):
    """(the model, its losses step by step), from the same start each time, with dropout."""
    ftcore.set_seed(0)
    model = ftcore.AutoModelForSequenceClassification.from_config(ftcore.BertConfig(**SIZES))
    with tempfile.TemporaryDirectory() as folder:
        arguments = ftcore.TrainingArguments(
            folder,
            max_steps=steps,
            learning_rate=1e-3,
            logging_steps=1,
            save_strategy="no",
            disable_tqdm=True,
            use_cpu=use_cpu,
            **ARGUMENTS[precision],
        )
        trainer = ftcore.Trainer(model, arguments, train_dataset=rows(64))
        trainer.train()
    return model, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def precisions():
    """Those that the GPU takes."""
    backend = ftcore._core.Backend(ftcore.resolve_device("cuda"))
    return [precision for precision in ARGUMENTS if backend.supports(precision)]


if __name__ == "__main__":
    for precision in precisions():
        print(precision, train(int(sys.argv[1]), precision)[1])
