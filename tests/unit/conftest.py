"""Small models for the tests of the Python layer."""

import pytest

from ftcore import BertConfig, BertForSequenceClassification, set_seed


@pytest.fixture
def small_config() -> BertConfig:
    """A BERT of a few thousand weights."""
    return BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=20,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


@pytest.fixture
def small_model(small_config) -> BertForSequenceClassification:
    """A model of that configuration with initial weights, the same every time."""
    set_seed(0)
    return BertForSequenceClassification(small_config).eval()


@pytest.fixture
def small_batch() -> dict:
    """Three padded rows with labels."""
    return {
        "input_ids": [[2, 5, 6, 3], [2, 7, 3, 0], [2, 9, 3, 0]],
        "attention_mask": [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 0]],
        "labels": [0, 1, 1],
    }
