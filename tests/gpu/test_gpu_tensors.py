"""torch's tensors on a GPU go in and out of a model on it, on the default stream and on others."""

import numpy as np
import pytest

import ftcore

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this torch has no GPU"),
]

SLEEP = 50_000_000
"""Cycles of the GPU: some hundredths of a second."""


@pytest.fixture
def model():
    ftcore.set_seed(0)
    config = ftcore.BertConfig(
        vocab_size=500, hidden_size=256, num_hidden_layers=2, num_attention_heads=4, num_labels=3
    )
    return ftcore.BertForSequenceClassification(config).to("cuda").eval()


def make_batch(seed=0, **changes):
    rng = np.random.default_rng(seed)
    lengths = np.array([128, 3, 77, 40])
    mask = (np.arange(128) < lengths[:, None]).astype(np.int64)
    batch = {
        "input_ids": rng.integers(5, 500, mask.shape) * mask,
        "attention_mask": mask,
        "token_type_ids": rng.integers(0, 2, mask.shape),
        "labels": rng.integers(0, 3, 4),
    }
    return {name: torch.from_numpy(value) for name, value in (batch | changes).items()}


def on_gpu(batch):
    return {name: value.cuda() for name, value in batch.items()}


def gradients(model):
    return {p.name: p.grad for p in model.parameters()}


def assert_equal_gradients(model, want):
    """But for the embeddings' and attention's, whose sums may come in another order."""
    for name, value in gradients(model).items():
        scale = np.abs(want[name]).max()
        np.testing.assert_allclose(value, want[name], atol=1e-5 * scale + 1e-9, err_msg=name)


def from_host(model, batch):
    model.zero_grad()
    output = model(**batch)
    output.loss.backward()
    return output.loss.item(), output.logits.detach().numpy(), gradients(model)


@pytest.mark.parametrize("fast", [True, False], ids=["C functions", "__dlpack__"])
def test_outputs_are_tensors_there(model, fast):
    class Slow(torch.Tensor):
        __dlpack_c_exchange_api__ = None

    loss, logits, want = from_host(model, make_batch())
    batch = on_gpu(make_batch())
    if not fast:
        batch = {name: value.as_subclass(Slow) for name, value in batch.items()}
    model.zero_grad()
    model.pack = None  # nothing is packed on the host
    output = model(**batch)
    assert output.loss.device == output.logits.device == batch["input_ids"].device
    assert output.loss.shape == () and output.logits.requires_grad
    output.loss.backward()
    assert output.loss.item() == pytest.approx(loss, rel=1e-6)
    np.testing.assert_allclose(output.logits.detach().cpu().numpy(), logits, rtol=1e-6, atol=1e-6)
    assert torch.equal(output.logits.argmax(-1).cpu(), torch.from_numpy(logits).argmax(-1))
    assert_equal_gradients(model, want)


def test_the_work_of_another_stream_comes_before_and_after(model):
    loss, logits, want = from_host(model, make_batch())
    source = on_gpu(make_batch())
    batch = {name: torch.zeros_like(value) for name, value in source.items()}
    torch.cuda.synchronize()
    model.zero_grad()
    model.pack = None
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(SLEEP)
        for name, value in source.items():
            batch[name].copy_(value)  # what is late
        output = model(**batch)
        doubled = 2 * output.logits.detach()  # on this stream, after the model's
        for value in batch.values():
            value.zero_()  # nor is this too early
        (0.5 * output.loss + 0.5 * output.loss).backward()
    stream.synchronize()
    np.testing.assert_allclose(doubled.cpu().numpy(), 2 * logits, rtol=1e-6, atol=1e-6)
    assert output.loss.item() == pytest.approx(loss, rel=1e-6)
    assert_equal_gradients(model, want)


def test_a_step_waits_for_the_gpu_in_forward_alone(model):
    batch, optimizer = on_gpu(make_batch()), ftcore.AdamW(model.parameters(), lr=1e-4)
    for _ in range(3):
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    loss = model(**batch).loss
    torch.cuda._sleep(20 * SLEEP)
    done = torch.cuda.Event()
    loss.backward()
    optimizer.step()
    done.record()
    assert not done.query()
    torch.cuda.synchronize()
    assert np.isfinite(loss.item())


def test_outputs_outlive_the_model(model):
    output = model(**on_gpu(make_batch()))
    loss, logits = output.loss.item(), output.logits.detach().cpu()
    model(**on_gpu(make_batch(seed=1)))
    del model
    assert output.loss.item() == loss and torch.equal(output.logits.detach().cpu(), logits)


@pytest.mark.parametrize("name", ["input_ids", "labels", "attention_mask"])
def test_what_is_wrong_is_said_as_on_the_host(model, name):
    batch = make_batch()
    batch[name].view(-1)[1] = 1000
    with pytest.raises((IndexError, ValueError)) as expected:
        model(**batch)
    with pytest.raises(type(expected.value)) as got:
        model(**on_gpu(batch))
    assert str(got.value) == str(expected.value)


def test_parameters_are_shared_with_those_who_ask_for_the_interface(model):
    parameter = next(model.parameters())
    tensor = torch.as_tensor(parameter, device="cuda")
    before = tensor.cpu()
    with torch.no_grad():
        tensor += 1
    np.testing.assert_array_equal(parameter.data, (before + 1).numpy())
