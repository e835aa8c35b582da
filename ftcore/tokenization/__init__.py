"""Tokenizers for BERT's family of checkpoints, equal to Hugging Face's id for id."""

from ftcore.tokenization.added_token import AddedToken
from ftcore.tokenization.auto import AutoTokenizer
from ftcore.tokenization.batch_encoding import BatchEncoding
from ftcore.tokenization.bert import (
    BertTokenizer,
    BertTokenizerFast,
    DistilBertTokenizer,
    DistilBertTokenizerFast,
    PreTrainedTokenizerFast,
)

__all__ = [
    "AddedToken",
    "AutoTokenizer",
    "BatchEncoding",
    "BertTokenizer",
    "BertTokenizerFast",
    "DistilBertTokenizer",
    "DistilBertTokenizerFast",
    "PreTrainedTokenizerFast",
]
