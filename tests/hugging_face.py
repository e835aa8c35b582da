"""The same job on both sides: MRPC through transformers, and models loaded by either library."""

import functools

import datasets
import transformers

datasets.disable_progress_bars()
transformers.logging.set_verbosity_error()

NO_DROPOUT = {
    "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "distilbert": {"dropout": 0.0, "attention_dropout": 0.0, "seq_classif_dropout": 0.0},
}


def no_dropout(name: str) -> dict:
    """The fields of a configuration that switch dropout off."""
    return NO_DROPOUT["distilbert" if name.startswith("distilbert") else "bert"]


@functools.cache
def tokenizer(name: str):
    """transformers' tokenizer of a model in the current folder."""
    return transformers.AutoTokenizer.from_pretrained(name)


@functools.cache
def mrpc(name: str):
    """MRPC as the course tokenizes it, for a model in the current folder."""
    tokenize = tokenizer(name)
    return datasets.load_dataset("glue", "mrpc").map(
        lambda rows: tokenize(rows["sentence1"], rows["sentence2"], truncation=True), batched=True
    )


def batch(name: str, first: int, count: int) -> dict:
    """Padded torch tensors of rows of MRPC's training set."""
    rows = mrpc(name)["train"].select(range(first, first + count))
    rows = rows.remove_columns(["sentence1", "sentence2", "idx"])
    collate = transformers.DataCollatorWithPadding(tokenizer(name))
    return dict(collate(list(rows)))
