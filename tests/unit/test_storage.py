"""Saving where the disk is full: what was there stays, and the error names the file."""

import errno
import os

import pytest

import ftcore


@pytest.fixture
def full_disk(monkeypatch):
    """Makes every file that is written end in the error of a full disk."""

    def fill():
        def fsync(descriptor):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", fsync)

    return fill


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_tokenizer_survives_a_failed_save(tmp_path, full_disk):
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good"]
    ftcore.BertTokenizer({token: i for i, token in enumerate(tokens)}).save_pretrained(tmp_path)
    before = contents(tmp_path)
    other = ftcore.BertTokenizer({token: i for i, token in enumerate([*tokens, "other"])})
    full_disk()
    with pytest.raises(OSError, match="tokenizer_config.json") as caught:
        other.save_pretrained(tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert contents(tmp_path) == before


def test_a_model_survives_a_failed_save(tmp_path, small_model, full_disk):
    small_model.save_pretrained(tmp_path)
    before = contents(tmp_path)
    small_model.state_dict()["classifier.bias"][:] = 9
    full_disk()
    with pytest.raises(OSError) as caught:
        small_model.save_pretrained(tmp_path)
    assert caught.value.filename == os.fspath(tmp_path / "model.safetensors")
    assert contents(tmp_path) == before
