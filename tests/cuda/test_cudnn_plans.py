"""Which of cuDNN's proposals a plan is built of, on the mock GPU and the mock cuDNN."""

import gc
import re

import numpy as np
import pytest
from cuda_support import build


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


KINDS = ["matmul", "pointwise", "reduction", "reshape", "rng"]
MODES = {
    "pointwise": {0: "add", 1: "mul", 6: "div", 9: "sub", 13: "exp", 15: "log", 21: "identity"}
    | {304: "less", 400: "and", 501: "index", 601: "select"},
    "reduction": {0: "sum", 3: "max"},
}
MASK = "index index less less and select"
GRAPHS = {  # in NVIDIA's frontend's order, which is the one that cuDNN is tested with
    "forward": f"matmul mul {MASK} max sub exp sum log add div rng mul mul matmul",
    "backward": f"rng mul sum mul matmul mul {MASK} sub exp mul mul reshape matmul "
    "matmul mul sub mul mul mul reshape matmul reshape matmul identity",
}


CHECKSUMS = (2, {3107633252680728289, 11265247030289845591})


def program_of(plan):
    """What a plan of the mock's carries out: numbers, behind their checksum."""
    return re.search(rb'"program" *: *"([^"]*)"', plan.read_bytes())[1].split()


def steps_of(plan):
    """The operations of the graph that a plan was made of, in their order."""
    numbers = iter([int(float(number)) for number in program_of(plan)[1:]])

    def take(count):
        return [next(numbers) for _ in range(count)]

    for _ in range(*take(1)):  # tensors: id, type, rank, sizes, strides, four more
        _, _, rank = take(3)
        take(2 * rank + 4)
    for _ in range(*take(1)):
        kind, mode, *_ = take(13)
        yield MODES.get(KINDS[kind], {}).get(mode, KINDS[kind])


@pytest.fixture
def plans(gpu, tmp_path):
    """Those of attention with dropout on packed rows, forward and backward."""
    backend, dropout = gpu("H100"), (0.1, 1, 2, 0, 3)
    q, k, v, dout = np.ones((4, 8, 16), np.float16)
    call = (q, k, v, np.array([0, 3, 8], np.int32), 2)
    out, state = backend.attention_forward(*call, dropout=dropout)
    backend.attention_backward(dout, *call[:3], state, *call[3:], dropout=dropout, out=out)
    return list(tmp_path.glob("plans-*"))


def test_graphs_are_in_the_order_of_nvidias_frontend(plans):
    assert {" ".join(steps_of(plan)) for plan in plans} == set(GRAPHS.values())


def test_graphs_that_change_have_another_number(plans):
    """Where this fails, raise the number: plans that users have on disk are of other graphs."""
    header = (build.CSRC / "backend/cuda/cudnn/attention_graph.h").read_text()
    number = int(re.search(r"FT_CUDNN_ATTENTION_GRAPHS = (\d+)", header)[1])
    assert (number, {int(program_of(plan)[0]) for plan in plans}) == CHECKSUMS
