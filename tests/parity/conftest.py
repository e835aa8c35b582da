"""What tests beside transformers share."""

import pytest
from side_by_side import made_up_pair
from tokenizer_support import VOCAB

from ftcore.tokenization import BertTokenizer


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return made_up_pair(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def tokenizer():
    return BertTokenizer(VOCAB)
