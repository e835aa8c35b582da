"""Whole steps and whole runs on a GPU: beside torch's, beside the CPU's, again and again."""

import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from gpu.small_training import precisions, train

import ftcore
from ftcore import _core

pytestmark = pytest.mark.gpu

MOST = 1.5
"""Times as far from float64 as torch's own result in the same precision."""
TORCH = "cuda" if torch.cuda.is_available() else "cpu"
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@pytest.fixture(scope="module", params=["float32", "bfloat16", "float16"])
def precision(request):
    if request.param not in precisions():
        pytest.skip(f"this GPU is not used in {request.param}")
    return request.param


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """A BERT of transformers in float64, and a folder that holds it."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=500,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=128,
        num_labels=3,
        initializer_range=0.05,
    )
    model = transformers.BertForSequenceClassification(config)
    for parameter in model.parameters():
        if parameter.dim() == 1:  # biases and norms are not left at 0 and 1
            parameter.data += 0.05 * torch.randn_like(parameter)
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return model.eval(), folder


def batch():
    rng = np.random.default_rng(7)
    lengths = np.array([128, 3, 77, 40, 64, 9, 100, 31])
    mask = (np.arange(128) < lengths[:, None]).astype(np.int64)
    return {
        "input_ids": torch.from_numpy(rng.integers(5, 500, mask.shape) * mask),
        "attention_mask": torch.from_numpy(mask),
        "labels": torch.from_numpy(rng.integers(0, 3, 8)),
    }


def results_of_torch(model, device, dtype, autocast=None):
    """Logits and gradients by name, in float64."""
    model = model.to(device, dtype)
    model.zero_grad()
    with torch.autocast(device, autocast, enabled=autocast is not None):
        output = model(**{name: value.to(device) for name, value in batch().items()})
    output.loss.backward()
    found = {name: p.grad.double().cpu().numpy() for name, p in model.named_parameters()}
    return {"logits": output.logits.detach().double().cpu().numpy(), **found}


def results_of_ftcore(folder, precision="float32"):
    model = ftcore.AutoModelForSequenceClassification.from_pretrained(folder).to("cuda")
    model.core.precision = precision
    output = model(**batch())
    output.loss.backward()
    found = {p.name: np.asarray(p.grad, np.float64) for p in model.parameters()}
    return {"logits": output.logits.detach().double().cpu().numpy(), **found}


def counts(name):
    """Key biases have no effect on the result: their true gradient is 0."""
    return not name.endswith("self.key.bias")


def distances(found, exact):
    """How far logits are from exact ones, and gradients."""
    gradients = [name for name in exact if name != "logits" and counts(name)]
    return np.array(
        [
            sum(np.square(found[name] - exact[name]).sum() for name in names) ** 0.5
            for names in (["logits"], gradients)
        ]
    )


def test_a_step_in_float32_is_torchs(sides):
    model, folder = sides
    exact = results_of_torch(model, "cpu", torch.float64)
    got = results_of_ftcore(folder)
    assert np.abs(got["logits"] - exact["logits"]).max() <= 1e-5
    for name, want in exact.items():
        if counts(name):
            assert np.abs(got[name] - want).max() <= 1e-4 * np.abs(want).max(), name


def test_a_step_in_sixteen_bits_is_as_near_to_float64_as_torchs(sides, precision):
    if precision == "float32":
        pytest.skip("float32 has a test of its own")
    model, folder = sides
    exact = results_of_torch(model, "cpu", torch.float64)
    theirs = results_of_torch(model, TORCH, torch.float32, DTYPES[precision])
    ours = results_of_ftcore(folder, precision)
    assert (distances(ours, exact) <= MOST * distances(theirs, exact)).all()


def test_a_step_in_tf32_is_as_near_to_float64_as_torchs(sides):
    if TORCH == "cpu" or torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("needs torch for CUDA, and a GPU with TensorFloat-32")
    model, folder = sides
    exact = results_of_torch(model, "cpu", torch.float64)
    in_float32 = distances(results_of_ftcore(folder), exact)
    torch.backends.cuda.matmul.allow_tf32 = True  # which ftcore follows
    try:
        theirs = distances(results_of_torch(model, TORCH, torch.float32), exact)
        ours = distances(results_of_ftcore(folder), exact)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    assert (ours <= MOST * theirs).all()
    assert (10 * in_float32 < ours).all()


def test_a_run_learns_as_on_the_cpu(precision):
    _, on_cpu = train(60, use_cpu=True)
    _, on_gpu = train(60, precision)
    assert on_gpu[0] == pytest.approx(on_cpu[0], abs=0.15)  # dropout's masks may be others
    assert np.mean(on_gpu[-10:]) < 0.5 * np.mean(on_gpu[:5])
    assert np.isfinite(on_gpu).all()


def test_a_hundred_steps_give_the_same_bits_again(precision):
    if precision != "float32" and torch.cuda.get_device_capability() >= (8, 0):
        pytest.skip("cuDNN's attention promises no order of its sums backward")
    (one, losses), (other, losses_again) = train(100, precision), train(100, precision)
    assert losses == losses_again
    for name, value in one.state_dict().items():
        np.testing.assert_array_equal(value, other.state_dict()[name], err_msg=name)


@pytest.mark.slow
def test_minilm_on_mrpc_is_as_accurate_as_on_the_cpu(hub, tmp_path, precision):
    """On the CPU three seeds gave accuracies from 0.797 to 0.819."""
    datasets = pytest.importorskip("datasets")
    raw = datasets.load_dataset("glue", "mrpc", cache_dir=tmp_path / "datasets")
    tokenizer = ftcore.AutoTokenizer.from_pretrained("minilm")
    rows = raw.map(
        lambda r: tokenizer(r["sentence1"], r["sentence2"], truncation=True), batched=True
    )
    chosen = {"bf16": precision == "bfloat16", "fp16": precision == "float16"}
    accuracies = []
    for seed in (42, 43):
        ftcore.set_seed(seed)
        trainer = ftcore.Trainer(
            ftcore.AutoModelForSequenceClassification.from_pretrained("minilm", num_labels=2),
            ftcore.TrainingArguments(tmp_path / "out", save_strategy="no", seed=seed, **chosen),
            train_dataset=rows["train"],
            eval_dataset=rows["validation"],
            data_collator=ftcore.DataCollatorWithPadding(tokenizer=tokenizer),
            compute_metrics=lambda p: {"accuracy": (p[0].argmax(-1) == p[1]).mean()},
        )
        trainer.train()
        accuracies.append(trainer.evaluate()["eval_accuracy"])
    assert 0.79 < np.mean(accuracies) < 0.84, accuracies


def test_running_out_of_memory_is_a_memory_error_that_leaves_the_model_as_it_was():
    device = ftcore.resolve_device("cuda")
    config = ftcore.BertConfig(vocab_size=200, num_hidden_layers=2)
    model = ftcore.AutoModelForSequenceClassification.from_config(config).to(device).train()
    small = {"input_ids": [[5, 6, 7]], "labels": [1]}
    before = model.eval()(**small).logits
    # Forward keeps far more than 40000 bytes of each token.
    tokens = _core.cuda_free_memory(int(device.rpartition(":")[2])) // 40_000
    ids = np.full((tokens // 512 + 1, 512), 5)
    with pytest.raises(MemoryError, match=r"[0-9.]+ (bytes|[KMGT]iB)"):
        model.train()(input_ids=ids, labels=np.zeros(len(ids), np.int64))
    np.testing.assert_array_equal(model.eval()(**small).logits, before)
    model.train()(**small).loss.backward()
    assert all(np.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck", "synccheck"])
def test_compute_sanitizer_finds_nothing(tool):
    """NVIDIA's tool goes with the CUDA toolkit."""
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        pytest.skip("compute-sanitizer is not on PATH")
    program = pathlib.Path(__file__).with_name("small_training.py")
    command = [sanitizer, "--tool", tool, "--error-exitcode", "9", sys.executable, program, "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
