"""Which of cuDNN's proposals a plan is built of, on the mock GPU and the mock cuDNN."""

import gc

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    """No plan is on disk."""
    monkeypatch.setenv("FTCORE_CACHE", str(tmp_path))


def set_proposals(mock_cudnn, version, *, heuristics, fallback, failing=0):
    """How many engines are proposed, and how many of them, from the first on, cannot be made
    ready."""
    mock_cudnn.library.mock_set_cudnn_version(version)
    mock_cudnn.library.mock_set_configurations(heuristics, fallback, failing)


def attend(backend):
    """Where all values are 1, so is attention."""
    q, k, v = np.ones((3, 8, 16), np.float16)
    out, _ = backend.attention_forward(q, k, v, np.array([0, 3, 8], np.int32), 2)
    assert (out == 1).all()


def test_engines_that_cannot_be_made_ready_are_passed_over(gpu, mock_cudnn):
    set_proposals(mock_cudnn, 92801, heuristics=3, fallback=0, failing=2)
    attend(gpu("A100"))


def test_without_a_proposal_of_heuristics_the_fallback_is_taken(gpu, mock_cudnn):
    set_proposals(mock_cudnn, 92801, heuristics=0, fallback=1)
    attend(gpu("A100"))


def test_without_any_proposal_it_is_an_error(gpu, mock_cudnn):
    set_proposals(mock_cudnn, 92801, heuristics=0, fallback=0)
    with pytest.raises(RuntimeError, match="no engine for these operands on this GPU"):
        attend(gpu("A100"))


def test_heuristics_are_asked(gpu, mock_cudnn):
    set_proposals(mock_cudnn, 91801, heuristics=1, fallback=0)
    attend(gpu("A100"))


def test_nothing_is_left_behind(gpu, mock_cudnn):
    gc.collect()  # backends of other tests
    set_proposals(mock_cudnn, 92801, heuristics=2, fallback=1, failing=1)
    backend = gpu("A100")
    attend(backend)
    del backend
    assert mock_cudnn.library.mock_alive(b"descriptor") == 0
    assert mock_cudnn.library.mock_alive(b"handle") == 0


def test_nothing_is_left_behind_by_a_failure(gpu, mock_cudnn):
    set_proposals(mock_cudnn, 92801, heuristics=2, fallback=1, failing=2)
    with pytest.raises(RuntimeError, match="cuDNN 9.28.1"):
        attend(gpu("A100"))
    assert mock_cudnn.library.mock_alive(b"descriptor") == 0
