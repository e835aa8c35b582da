"""bfloat16 training of small models: shadow weights that are never stale, float32 masters,
switching between precisions, and refusals."""

import gc
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
import torch
from support import core_config, core_model, gradients, parameters, torch_model

from ftcore import (
    AdamW,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    _core,
    set_seed,
)

LENGTHS = [17, 3, 9, 1, 12]
ADAMW = (1e-3, 0.9, 0.999, 1e-8, 0.1)
QUERY = "bert.encoder.layer.0.attention.self.query.weight"


def supported(backend):
    try:
        return _core.Backend(backend).supports("bfloat16")
    except RuntimeError:  # built without it
        return False


needs_bfloat16 = pytest.mark.skipif(
    not supported("auto"), reason="this processor does not train in bfloat16"
)


@pytest.fixture(params=["reference", "cpu"])
def backend(request):
    if not supported(request.param):
        pytest.skip(f"the {request.param} backend does not take bfloat16 here")
    return request.param


def make_batch(seed=0, lengths=LENGTHS):
    rng = np.random.default_rng(seed)
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    return _core.pack_padded(
        rng.integers(1, 100, mask.shape),
        mask,
        rng.integers(0, 2, mask.shape),
        None,
        rng.integers(0, 3, len(lengths)),
    )


def make_core(backend, precision="bfloat16", architecture="bert"):
    """A core of a few thousand weights, the same every time; no view of them is held."""
    core = core_model(torch_model(architecture, 3), backend)
    core.precision = precision
    return core


def group_of(core, left_out=()):
    """The groups that train_step wants: all parameters in one, but those left out."""
    groups = np.zeros(len(core.parameters()), np.int32)
    groups[list(left_out)] = -1
    return groups


def train(core, steps, batches=1, left_out=(), max_norm=1.0, adamw=ADAMW):
    """(losses, norms) of steps from the first on."""
    results = []
    for step in range(1, steps + 1):
        micro = [make_batch(step * 10 + i) for i in range(batches)]
        results.append(
            core.train_step(
                micro, 1 / batches, 7, [adamw], group_of(core, left_out), step, max_norm
            )
        )
    return np.array(results).T


def fresh_logits(core, batch):
    """What a new model in bfloat16 makes of the batch with this one's parameters."""
    config = core_config(torch_model("bert", 3).config)
    other = _core.Model(config, core.backend)
    values = {name: view.copy() for name, view in parameters(core).items()}
    for name, view in parameters(other).items():
        view[...] = values[name]
    other.precision = "bfloat16"
    return other.forward(batch)[1]


def distance(one, other):
    return float(np.linalg.norm(np.concatenate([(one[k] - other[k]).ravel() for k in one])))


def copies(arrays):
    return {name: array.copy() for name, array in arrays.items()}


# Arithmetic


@pytest.mark.onednn
@pytest.mark.parametrize("architecture", ["bert", "distilbert"])
def test_the_cpu_is_much_nearer_to_the_reference_than_bfloat16_to_float32(architecture):
    if not supported("cpu"):
        pytest.skip("the cpu backend does not take bfloat16 here")
    batch = make_batch()
    results = []
    for backend, precision in (
        ("reference", "float32"),
        ("reference", "bfloat16"),
        ("cpu", "bfloat16"),
    ):
        core = make_core(backend, precision, architecture)
        _, logits = core.forward(batch, keep=True)
        core.backward()
        results.append(({"logits": logits}, copies(gradients(core))))
    for exact, rounded, got in zip(*results, strict=True):
        assert distance(rounded, exact) > 0
        assert distance(got, rounded) < distance(rounded, exact) / 2


@pytest.mark.onednn
def test_steps_of_the_cpu_follow_those_of_the_reference():
    if not supported("cpu"):
        pytest.skip("the cpu backend does not take bfloat16 here")
    exact, rounded, got = (
        train(make_core(backend, precision), 5, batches=2, adamw=(1e-4, *ADAMW[1:]))
        for backend, precision in (
            ("reference", "float32"),
            ("reference", "bfloat16"),
            ("cpu", "bfloat16"),
        )
    )
    (exact_losses, _), (losses, norms), (got_losses, got_norms) = exact, rounded, got
    assert not np.array_equal(losses, exact_losses)
    np.testing.assert_allclose(losses, exact_losses, rtol=0.01)
    np.testing.assert_allclose(got_losses, losses, rtol=0.01)
    np.testing.assert_allclose(got_norms, norms, rtol=0.03)


def test_accumulated_gradients_are_those_of_the_micro_steps(backend):
    core, by_hand = make_core(backend), make_core(backend)
    batches = [make_batch(1), make_batch(2, [4, 8])]
    core.train_step(batches, 0.5, 0, [ADAMW], group_of(core), 1)
    for batch in batches:
        by_hand.forward(batch, keep=True)
        by_hand.backward(0.5)
    for name, gradient in gradients(core).items():
        assert np.array_equal(gradient, gradients(by_hand)[name]), name


def test_evaluation_gives_the_logits_of_forward(backend):
    core, batch = make_core(backend), make_batch()
    losses, logits = core.evaluate(batch, 2)
    assert np.array_equal(logits, core.forward(batch)[1])
    assert losses.shape == (3,)


# Shadow weights


def assert_nothing_stale(core, seed=99):
    batch = make_batch(seed)
    assert np.array_equal(core.forward(batch)[1], fresh_logits(core, batch))


@pytest.mark.parametrize(
    ("left_out", "max_norm"), [((), 0.0), ((), 1.0), ((5, 6, 7), 1.0), (range(10, 30), 1.0)]
)
def test_after_training_a_forward_is_that_of_a_new_model(backend, left_out, max_norm):
    core = make_core(backend)
    before = copies(parameters(core))
    train(core, 3, left_out=left_out, max_norm=max_norm)
    after = parameters(core)
    changed = [not np.array_equal(before[name], after[name]) for name in before]
    assert [i for i, is_changed in enumerate(changed) if not is_changed] == list(left_out)
    del after
    gc.collect()
    train(core, 2, left_out=left_out, max_norm=max_norm)
    assert_nothing_stale(core)


def layer_weight(core):
    """The index of a weight that products read in bfloat16."""
    names = [name for name, _, _ in core.parameters()]
    return names.index("bert.encoder.layer.1.intermediate.dense.weight")


@pytest.mark.parametrize(
    "wrap",
    [lambda view: view, lambda view: view[3:, ::2], torch.from_numpy, memoryview],
    ids=["array", "slice", "torch", "memoryview"],
)
def test_writes_through_a_held_view_are_seen(backend, wrap):
    core, batch = make_core(backend), make_batch()
    seen = [core.forward(batch)[1]]
    held = wrap(core.parameter(layer_weight(core)))
    for value in (0.25, 0.75):
        if isinstance(held, memoryview):
            for column in range(held.shape[1]):
                held[1, column] = value
        else:
            held[1] = value
        seen.append(core.forward(batch)[1])
        assert np.array_equal(seen[-1], fresh_logits(core, batch))
        assert not np.array_equal(seen[-1], seen[-2])


def test_writes_through_a_dropped_view_are_seen(backend):
    core, batch = make_core(backend), make_batch()
    before = core.forward(batch)[1]
    core.parameter(layer_weight(core))[...] *= 1.5
    after = core.forward(batch)[1]
    assert not np.array_equal(after, before)
    assert np.array_equal(after, fresh_logits(core, batch))


def test_writes_between_train_steps_are_seen(backend):
    core = make_core(backend)
    train(core, 2)
    core.parameter(layer_weight(core))[...] += 0.5
    train(core, 2)
    assert_nothing_stale(core)


def test_holding_views_changes_no_bit_of_training(backend):
    core, watched = make_core(backend), make_core(backend)
    held = [watched.parameter(i) for i in range(len(watched.parameters()))]
    assert np.array_equal(train(core, 4), train(watched, 4))
    for i, view in enumerate(held):
        assert np.array_equal(view, core.parameter(i))


def test_a_step_that_fails_leaves_nothing_stale(backend):
    core = make_core(backend)
    train(core, 1)
    before = copies(parameters(core))
    with pytest.raises(FloatingPointError):
        core.train_step([make_batch()], 1e38, 0, [ADAMW], group_of(core), 2)
    after = parameters(core)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    del after
    assert_nothing_stale(core)


@pytest.mark.onednn
@needs_bfloat16
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forward_that_a_forked_child_was_refused_leaves_nothing_stale():
    core, batch = make_core("cpu", "float32"), make_batch()
    expected = fresh_logits(core, batch)
    core.threads = 2
    core.forward(batch)  # starts OpenMP's threads, which the child will not have
    child = os.fork()
    if child == 0:
        failed = 1
        try:
            core.precision = "bfloat16"
            with pytest.raises(RuntimeError, match="forked"):
                core.forward(batch)
            core.threads = 1
            failed = 0 if np.allclose(core.forward(batch)[1], expected, atol=1e-3) else 2
        finally:
            os._exit(failed)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


# Through ftcore's models


def make_model(small_config, seed=0):
    set_seed(seed)
    return BertForSequenceClassification(small_config).eval()


def fresh_copy_logits(model, inputs):
    """Logits of a new model in bfloat16 with this one's parameters."""
    other = BertForSequenceClassification(model.config).eval()
    other.load_state_dict({name: value.copy() for name, value in model.state_dict().items()})
    other.core.precision = "bfloat16"
    return other(**inputs).logits


@needs_bfloat16
def test_load_state_dict_is_seen(small_config, small_batch):
    model, other = make_model(small_config), make_model(small_config, seed=1)
    model.core.precision = other.core.precision = "bfloat16"
    before, expected = model(**small_batch).logits, other(**small_batch).logits
    assert not np.array_equal(before, expected)
    model.load_state_dict(other.state_dict())
    assert np.array_equal(model(**small_batch).logits, expected)


@needs_bfloat16
def test_what_is_saved_and_loaded_gives_the_same_bits(small_config, small_batch, tmp_path):
    model = make_model(small_config)
    model.core.precision = "bfloat16"
    expected = model(**small_batch).logits
    model.save_pretrained(tmp_path)
    loaded = BertForSequenceClassification.from_pretrained(tmp_path)
    assert loaded.core.precision == "float32"
    loaded.core.precision = "bfloat16"
    assert np.array_equal(loaded(**small_batch).logits, expected)


@needs_bfloat16
def test_a_loop_by_hand_updates_what_products_read(small_config, small_batch):
    model = make_model(small_config)
    model.core.precision = "bfloat16"
    optimizer = AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        output = model(**small_batch)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(output.loss))
    assert losses[-1] < losses[0]
    assert np.array_equal(model(**small_batch).logits, fresh_copy_logits(model, small_batch))


@needs_bfloat16
def test_assigning_data_copies_into_the_model_and_is_seen(small_config, small_batch):
    model = make_model(small_config)
    model.core.precision = "bfloat16"
    before = model(**small_batch).logits
    weight = dict(model.named_parameters())[QUERY]
    values = weight.data * 3
    weight.data = values
    assert np.array_equal(weight.data, values)
    assert not np.shares_memory(weight.data, values)
    after = model(**small_batch).logits
    assert not np.array_equal(after, before)
    assert np.array_equal(after, fresh_copy_logits(model, small_batch))


@pytest.mark.parametrize("values", [0.0, np.zeros(16), np.zeros((16, 1)), np.zeros((1, 16, 16))])
def test_assigning_data_of_another_shape_is_refused(small_model, values):
    weight = dict(small_model.named_parameters())[QUERY]
    before = weight.data.copy()
    with pytest.raises(ValueError, match=r"query.weight has shape \(16, 16\), got"):
        weight.data = values
    assert np.array_equal(weight.data, before)


@pytest.mark.parametrize(
    "values",
    [
        np.full((16, 16), 0.5),
        torch.full((16, 16), 0.5, dtype=torch.bfloat16),
        torch.full((16, 16), 0.5, requires_grad=True),
    ],
)
def test_arrays_and_tensors_may_be_assigned(small_model, values):
    parameter = dict(small_model.named_parameters())[QUERY]
    assert parameter.shape == (16, 16)
    parameter.data = values
    assert (parameter.data == 0.5).all()


@pytest.mark.parametrize("values", [None, np.zeros((16, 16), complex), np.zeros((16, 16), object)])
def test_what_holds_no_numbers_is_not_assigned(small_model, values):
    parameter = dict(small_model.named_parameters())[QUERY]
    before = parameter.data.copy()
    with pytest.raises(TypeError, match="must hold floating-point numbers"):
        parameter.data = values
    with pytest.raises(AttributeError):
        parameter.shape = (256,)
    assert np.array_equal(parameter.data, before)


# Switching


def test_float32_is_the_same_after_bfloat16(backend):
    core, batch = make_core(backend, "float32"), make_batch()
    assert core.precision == "float32"
    expected = core.forward(batch)[1]
    core.precision = "bfloat16"
    rounded = core.forward(batch)[1]
    core.precision = "float32"
    assert np.array_equal(core.forward(batch)[1], expected)
    core.precision = "bfloat16"
    assert np.array_equal(core.forward(batch)[1], rounded)
    assert not np.array_equal(rounded, expected)
    assert rounded.dtype == np.float32


def test_training_in_float32_between_is_seen(backend):
    core = make_core(backend)
    train(core, 1)
    core.precision = "float32"
    train(core, 1)
    core.precision = "bfloat16"
    assert_nothing_stale(core)


@pytest.mark.parametrize("change", [("float32", "bfloat16"), ("bfloat16", "float32")])
def test_switching_drops_what_a_forward_kept(backend, change):
    before, after = change
    core = make_core(backend, before)
    core.forward(make_batch(), keep=True)
    core.precision = after
    with pytest.raises(RuntimeError, match="backward needs a forward before it"):
        core.backward()
    core.precision = before
    with pytest.raises(RuntimeError, match="backward needs a forward before it"):
        core.backward()
    core.forward(make_batch(), keep=True)
    core.precision = before  # what it is already: nothing is dropped
    core.backward()


@pytest.mark.parametrize("value", ["bf16", "float8", "", "BFLOAT16"])
def test_unknown_precisions_are_refused(backend, value):
    core = make_core(backend)
    with pytest.raises(ValueError, match="precision"):
        core.precision = value
    with pytest.raises(TypeError):
        core.precision = 16
    with pytest.raises(TypeError):
        del core.precision
    assert core.precision == "bfloat16"


# Trainer


def rows(count=24, seed=0):
    generator = np.random.default_rng(seed)
    return [
        {"input_ids": [2, *generator.integers(5, 50, 2 + i % 9).tolist(), 3], "labels": i % 2}
        for i in range(count)
    ]


@pytest.fixture
def make(small_config, tmp_path):
    """Makes a Trainer of a small model with dropout, the same every time."""
    small_config.hidden_dropout_prob = 0.1

    def trainer(folder="out", callbacks=(), **options):
        return Trainer(
            make_model(small_config),
            TrainingArguments(
                tmp_path / folder,
                **{"disable_tqdm": True, "save_strategy": "no", "logging_steps": 1, **options},
            ),
            train_dataset=rows(),
            eval_dataset=rows(9, seed=1),
            compute_metrics=lambda p: {"mean": float(p.predictions.mean())},
            callbacks=list(callbacks),
        )

    return trainer


def weights(trainer):
    return copies(trainer.model.state_dict())


def precisions_seen(trainer):
    """The precisions in which the model's forward, evaluation and training will be run."""
    seen = set()

    class Look(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            seen.add(("train", trainer.model.core.precision))

        def on_prediction_step(self, args, state, control, **kwargs):
            seen.add(("evaluate", trainer.model.core.precision))

    trainer.add_callback(Look())
    return seen


@needs_bfloat16
def test_bf16_trains_and_evaluates_in_bfloat16_and_leaves_float32(make):
    trainer = make(max_steps=3, bf16=True, eval_strategy="steps", eval_steps=1)
    seen = precisions_seen(trainer)
    trainer.train()
    assert seen == {("train", "bfloat16"), ("evaluate", "bfloat16")}
    assert trainer.model.core.precision == "float32"
    exact = make(max_steps=3)
    exact.train()
    one, other = weights(trainer), weights(exact)
    assert 0 < distance(one, other) < 0.01 * distance(one, {k: 0 * v for k, v in one.items()})


@needs_bfloat16
@pytest.mark.parametrize("option", ["bf16", "bf16_full_eval"])
def test_evaluation_in_bfloat16(make, option):
    exact, trainer = make(), make(**{option: True})
    seen = precisions_seen(trainer)
    expected, got = exact.predict(rows(9, seed=1)), trainer.predict(rows(9, seed=1))
    assert seen == {("evaluate", "bfloat16")}
    assert trainer.model.core.precision == "float32"
    assert got.predictions.dtype == np.float32
    assert 0 < np.abs(got.predictions - expected.predictions).max() < 0.01
    metrics = trainer.evaluate()
    assert metrics["eval_loss"] == got.metrics["test_loss"] != expected.metrics["test_loss"]
    trainer.model.core.precision = "bfloat16"
    by_hand = [trainer.model([row["input_ids"]]).logits[0] for row in rows(9, seed=1)]
    np.testing.assert_allclose(by_hand, got.predictions, atol=1e-3)


@needs_bfloat16
def test_bf16_full_eval_trains_in_float32(make):
    trainer = make(max_steps=2, bf16_full_eval=True, eval_strategy="steps", eval_steps=1)
    seen = precisions_seen(trainer)
    trainer.train()
    assert seen == {("train", "float32"), ("evaluate", "bfloat16")}
    exact = make(max_steps=2)
    exact.train()
    assert distance(weights(trainer), weights(exact)) == 0


@needs_bfloat16
def test_float32_is_back_after_an_error_too(make):
    class Fail(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            raise OSError("no more")

    trainer = make(max_steps=2, bf16=True, callbacks=[Fail()])
    with pytest.raises(OSError, match="no more"):
        trainer.train()
    assert trainer.model.core.precision == "float32"


@needs_bfloat16
@pytest.mark.parametrize("accumulation", [1, 2])
def test_checkpoints_hold_float32_and_resume_to_the_same_bits(make, accumulation):
    options = dict(
        bf16=True,
        max_steps=6,
        save_strategy="steps",
        save_steps=2,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=accumulation,
        weight_decay=0.1,
    )
    whole = make("whole", **options)
    whole.train()
    saved = pathlib.Path(whole.args.output_dir, "checkpoint-6", "model.safetensors")
    masters = safetensors.numpy.load_file(saved)
    for name, value in weights(whole).items():
        assert masters[name].dtype == np.float32
        assert np.array_equal(masters[name], value), name
    layer = masters["bert.encoder.layer.0.output.dense.weight"]
    assert (layer.view(np.uint32) & 0xFFFF).any(), "no more precise than bfloat16"

    resumed = make("resumed", **options)
    resumed.train(pathlib.Path(whole.args.output_dir, "checkpoint-4"))
    assert distance(weights(resumed), weights(whole)) == 0
    losses = [
        [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        for trainer in (whole, resumed)
    ]
    assert losses[0] == losses[1]


# Refusals

# Prints what comes of an attempt, and the steps taken.
ATTEMPT = """
import sys, tempfile
import numpy as np
from ftcore import (BertConfig, BertForSequenceClassification, Trainer, TrainerCallback,
    TrainingArguments)
steps = []
class Count(TrainerCallback):
    def on_step_begin(self, *args, **kwargs):
        steps.append(1)
model = BertForSequenceClassification(BertConfig(vocab_size=50, hidden_size=16,
    num_hidden_layers=1, num_attention_heads=2, intermediate_size=16))
rows = [{"input_ids": [2, 5, 3], "labels": 1}] * 8
args = TrainingArguments(tempfile.mkdtemp(), max_steps=1, disable_tqdm=True, save_strategy="no")
trainer = Trainer(model, args, train_dataset=rows, eval_dataset=rows, callbacks=[Count()])
setattr(args, sys.argv[1], True)
for attempt in (
    trainer.train,
    trainer.evaluate,
    lambda: Trainer(model, args),
    lambda: setattr(model.core, "precision", "bfloat16"),
):
    try:
        attempt()
        print("done")
    except ValueError as error:
        print(error)
print(len(steps), model.core.precision)
setattr(args, sys.argv[1], False)
trainer.train()
print(len(steps))
"""


@pytest.mark.onednn
@pytest.mark.parametrize("option", ["bf16", "bf16_full_eval"])
def test_refused_by_name_where_the_processor_lacks_it(option):
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPT, option],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *refusals, state, trained = [line for line in done.stdout.splitlines() if line[0] != "{"]
    reason = "bfloat16 is not supported on this processor"
    assert len(refusals) == 4
    for refusal in refusals[:3]:
        assert refusal.startswith(f"TrainingArguments({option}=True): {reason}")
        assert refusal.endswith("train in float32")
    assert refusals[3].startswith(reason)
    assert state == "0 float32"
    assert trained == "1"


@pytest.mark.parametrize("option", ["bf16", "bf16_full_eval"])
@pytest.mark.parametrize("value", [1, 0, "yes", "true", None, np.True_])
def test_anything_but_true_and_false_is_refused(tmp_path, option, value):
    with pytest.raises(ValueError, match=f"{option} must be True or False, got"):
        TrainingArguments(tmp_path, **{option: value})


@pytest.mark.parametrize(
    ("option", "alternative"), [("fp16", "bf16=True"), ("fp16_full_eval", "bf16_full_eval=True")]
)
def test_float16_is_refused_with_the_alternative(tmp_path, option, alternative):
    with pytest.raises(ValueError, match=f"{option}=.*{alternative}"):
        TrainingArguments(tmp_path, **{option: True})
