"""Trainer on a GPU: it chooses the device as transformers does, and trains as on the CPU."""

import json
import math

import numpy as np
import pytest
import torch
from cuda_support import small_config

from ftcore import (
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    _core,
    set_seed,
)

ROWS = [{"input_ids": [2, 5 + i, 3, 7, 9][: 3 + i % 3], "label": i % 2} for i in range(24)]
CLOCKS = ("runtime", "per_second")


pytestmark = pytest.mark.usefixtures("any_gpu")


def make_model(backend="auto"):
    set_seed(0)
    config = small_config()
    model = BertForSequenceClassification(config)
    core = _core.Model(config.core(), backend)
    core.copy_state(model.core)
    model.core = core
    return model


def make_trainer(folder, model=None, callbacks=(), **options):
    options = {
        "num_train_epochs": 2,
        "per_device_train_batch_size": 4,
        "logging_steps": 2,
        "save_strategy": "no",
        "learning_rate": 1e-3,
        "disable_tqdm": True,
    } | options
    arguments = TrainingArguments(str(folder), **options)
    model = make_model() if model is None else model
    return Trainer(
        model, arguments, train_dataset=ROWS, eval_dataset=ROWS, callbacks=list(callbacks)
    )


def weights(trainer):
    return {p.name: p.data.copy() for p in trainer.model.parameters()}


def assert_equal(one, other):
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


class Moves(TrainerCallback):
    """Moves the model behind some steps."""

    def __init__(self, devices):
        self.devices = devices

    def on_step_end(self, args, state, control, model, **kwargs):
        if state.global_step in self.devices:
            model.to(self.devices[state.global_step])


class Spoils(TrainerCallback):
    """Makes weights NaN behind a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, model, **kwargs):
        if state.global_step == self.step:
            bias = list(model.parameters())[-1]
            bias.data = bias.data * np.nan


def test_the_first_gpu_is_used_unless_the_cpu_is_asked_for(mock_gpu, tmp_path):
    mock_gpu.set_device("A100", 2)
    arguments = TrainingArguments(str(tmp_path))
    assert (str(arguments.device), arguments.n_gpu) == ("cuda:0", 1)
    torch = pytest.importorskip("torch")
    assert arguments.device == torch.device("cuda:0")
    assert make_trainer(tmp_path).model.core.device == "cuda:0"
    assert make_trainer(tmp_path, make_model().to("cuda:1")).model.core.device == "cuda:0"
    arguments = TrainingArguments(str(tmp_path), use_cpu=True)
    assert (str(arguments.device), arguments.n_gpu) == ("cpu", 0)
    assert make_trainer(tmp_path, make_model().cuda(), use_cpu=True).model.core.device == "cpu"
    mock_gpu.set_device("A100", 0)
    assert str(TrainingArguments(str(tmp_path)).device) == "cpu"


@pytest.mark.filterwarnings("error")
def test_a_model_of_transformers_gets_its_weights_back(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(**make_model().config.to_dict())
    model = transformers.BertForSequenceClassification(config)
    before = model.classifier.weight.detach().clone()
    trainer = make_trainer(tmp_path, model)
    trainer.train()
    assert trainer.model.core.device == "cuda:0"
    assert (model.classifier.weight != before).any()
    for name, value in trainer.model.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name].numpy(), value, err_msg=name)


def test_a_model_that_was_moved_since_is_moved_back(tmp_path):
    trainer = make_trainer(tmp_path, max_steps=1)
    for work in (trainer.train, trainer.evaluate, lambda: trainer.predict(ROWS)):
        trainer.model.cpu()
        work()
        assert trainer.model.core.device == "cuda:0"
    trainer.args.use_cpu = True
    trainer.train()
    assert trainer.model.core.device == "cpu"


def test_a_run_is_that_of_the_reference(tmp_path):
    options = {"eval_strategy": "steps", "eval_steps": 3, "gradient_accumulation_steps": 2}
    device = make_trainer(tmp_path / "gpu", **options)
    reference = make_trainer(tmp_path / "cpu", make_model("reference"), use_cpu=True, **options)
    assert device.train().training_loss == pytest.approx(reference.train().training_loss, rel=1e-4)
    assert reference.model.core.backend == "reference" and device.model.core.backend == "cuda"
    assert len(device.state.log_history) == len(reference.state.log_history)
    for got, expected in zip(device.state.log_history, reference.state.log_history, strict=True):
        got, expected = (
            {k: v for k, v in entry.items() if not k.endswith(CLOCKS)} for entry in (got, expected)
        )
        assert got == pytest.approx(expected, rel=1e-3)


def test_it_waits_for_the_gpu_only_where_something_is_told(mock_gpu, tmp_path):
    class Watch(TrainerCallback):
        waits = []

        def on_step_begin(self, *args, **kwargs):
            self.before = mock_gpu.calls("cuStreamSynchronize")

        def on_step_end(self, *args, **kwargs):
            self.waits.append(mock_gpu.calls("cuStreamSynchronize") - self.before)

    watch = Watch()
    make_trainer(tmp_path, callbacks=[watch], logging_steps=6).train()
    assert len(watch.waits) == 12
    assert not any(watch.waits[1:])  # the first makes room for batches


def test_logged_losses_are_those_of_single_steps(tmp_path):
    def losses(**options):
        trainer = make_trainer(tmp_path, **options)
        trainer.train()
        return [e["loss"] for e in trainer.state.log_history if "loss" in e], weights(trainer)

    single, one = losses(logging_steps=1)
    grouped, other = losses(logging_steps=4)
    assert_equal(one, other)
    np.testing.assert_allclose(grouped, np.mean(np.reshape(single, (-1, 4)), 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("use_cpu", "moves"), [(False, {2: "cpu"}), (True, {2: "cuda"}), (False, {2: "cpu", 3: "cuda"})]
)
def test_no_loss_is_lost_where_the_model_moves_during_a_run(tmp_path, use_cpu, moves):
    def logged(callbacks):
        options = {"logging_steps": 3, "use_cpu": use_cpu}
        trainer = make_trainer(tmp_path, callbacks=callbacks, **options)
        trainer.train()
        history = trainer.state.log_history[:-1]
        return [entry[name] for entry in history for name in ("loss", "grad_norm")]

    assert logged([Moves(moves)]) == pytest.approx(logged([]), rel=1e-4)


def test_a_loss_that_is_not_finite_is_told_where_the_model_moves(tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[Spoils(5), Moves({7: "cpu"})], logging_steps=8)
    with pytest.raises(FloatingPointError, match="the loss is not finite .* from 1 to 7"):
        trainer.train()
    assert trainer.model.core.device == "cuda:0"


def test_a_run_that_is_broken_off_leaves_nothing_to_be_told(tmp_path):
    class BreaksOff(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 6:
                raise LookupError

    trainer = make_trainer(tmp_path, callbacks=[Spoils(4), BreaksOff()], logging_steps=8)
    with pytest.raises(LookupError):
        trainer.train()
    trainer.model.cpu()
    assert trainer.model.core.take_results()[1] == 0


def test_a_resumed_run_takes_the_same_steps(tmp_path):
    whole = make_trainer(tmp_path / "whole", save_strategy="steps", save_steps=5)
    whole.train()
    resumed = make_trainer(tmp_path / "resumed")
    resumed.train(resume_from_checkpoint=tmp_path / "whole" / "checkpoint-5")
    assert_equal(weights(whole), weights(resumed))
    # A checkpoint is of no device.
    on_cpu = make_trainer(tmp_path / "cpu", use_cpu=True)
    on_cpu.train(resume_from_checkpoint=tmp_path / "whole" / "checkpoint-10")
    assert on_cpu.model.core.device == "cpu" and on_cpu.state.global_step == 12


@pytest.mark.parametrize("option", ["bf16", "fp16"])
def test_training_in_16_bits(tmp_path, option):
    seen = set()

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, model, **kwargs):
            seen.add(model.core.precision)

    exact = make_trainer(tmp_path).train().training_loss
    trainer = make_trainer(tmp_path, callbacks=[Watch()], save_strategy="epoch", **{option: True})
    assert trainer.train().training_loss == pytest.approx(exact, rel=0.02)
    assert seen == {"bfloat16" if option == "bf16" else "float16"}
    assert trainer.model.core.precision == "float32"
    scale = tmp_path / "checkpoint-12" / "scaler.json"
    assert scale.exists() == (option == "fp16")
    if option == "fp16":
        assert json.loads(scale.read_text())["scale"] == 65536


class WatchesTf32(TrainerCallback):
    """Notes what passes are, each after a call of the model by hand."""

    def __init__(self):
        self.seen = set()

    def on_step_end(self, args, state, control, model, **kwargs):
        model(input_ids=[[2, 5, 3]])
        self.seen.add(model.core.tf32)

    on_prediction_step = on_step_end


@pytest.mark.parametrize("of_torch", [False, True])
@pytest.mark.parametrize("tf32", [None, False, True])
def test_training_in_tf32(tmp_path, tf32, of_torch):
    """As the argument says, or, where that is left open, as torch's flag does."""
    watch = WatchesTf32()
    torch.backends.cuda.matmul.allow_tf32 = of_torch
    try:
        trainer = make_trainer(tmp_path, callbacks=[watch], tf32=tf32, eval_strategy="epoch")
        loss = trainer.train().training_loss
        assert watch.seen == {of_torch if tf32 is None else tf32}
        trainer.model(input_ids=[[2, 5, 3]])
        assert trainer.model.core.tf32 is of_torch  # outside of Trainer
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cuda.matmul.fp32_precision = "none"
    exact = make_trainer(tmp_path).train().training_loss
    assert (loss == exact) == (watch.seen == {False})
    assert loss == pytest.approx(exact, rel=1e-3)


def test_a_model_that_moves_takes_tf32_along(mock_gpu, tmp_path):
    mock_gpu.set_device("A100", 2)
    seen = []

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, model, **kwargs):
            seen.append(model.core.tf32)

    make_trainer(tmp_path, callbacks=[Moves({3: "cpu", 6: "cuda:1"}), Watch()], tf32=True).train()
    assert seen == [True] * 2 + [False] * 3 + [True] * 7


def test_a_step_that_overflows_is_skipped(tmp_path):
    trainer = make_trainer(tmp_path, fp16=True, logging_steps=1)
    trainer._prepare(12)
    trainer._scaler.scale = 2.0**34
    trainer.train()
    assert 0 < trainer.optimizer.steps < trainer.state.global_step == 12
    skipped = 12 - trainer.optimizer.steps
    assert trainer._scaler.scale == 2.0 ** (34 - skipped)
    norms = [e["grad_norm"] for e in trainer.state.log_history if "grad_norm" in e]
    assert [math.isfinite(norm) for norm in norms].count(False) == skipped


def test_options_that_the_gpu_lacks_are_refused_by_name(mock_gpu, tmp_path):
    with pytest.raises(ValueError, match="tf32=True.*not supported on the CPU.*leave it out"):
        TrainingArguments(str(tmp_path), tf32=True, use_cpu=True)
    with pytest.raises(ValueError, match="fp16=True.*on the CPU.*bf16=True"):
        TrainingArguments(str(tmp_path), fp16=True, use_cpu=True)
    mock_gpu.set_device("T4")
    with pytest.raises(ValueError, match=r"TrainingArguments\(bf16=True\): .*fp16=True"):
        make_trainer(tmp_path, bf16=True)
    with pytest.raises(
        ValueError, match=r"TrainingArguments\(tf32=True\): .*needs .*8\.0 or newer"
    ):
        make_trainer(tmp_path, tf32=True)
    make_trainer(tmp_path, fp16=True, tf32=False)


def test_weights_that_are_not_finite_stop_the_run_where_it_is_told(tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[Spoils(5)], logging_steps=4)
    with pytest.raises(FloatingPointError, match="the loss is not finite .* from 5 to 8"):
        trainer.train()
    trainer = make_trainer(tmp_path, trainer.model)
    trainer.model.load_state_dict(make_model().state_dict())
    assert math.isfinite(trainer.train().training_loss)


def test_a_batch_without_room_names_the_option(mock_gpu, tmp_path):
    trainer = make_trainer(tmp_path, per_device_train_batch_size=24)
    mock_gpu.set_memory(mock_gpu.allocated() + (1 << 15))
    with pytest.raises(MemoryError, match="per_device_train_batch_size"):
        trainer.train()
    mock_gpu.set_memory(1 << 30)
    assert math.isfinite(make_trainer(tmp_path, trainer.model).train().training_loss)


@pytest.mark.parametrize("option", [{}, {"fp16": True}])
def test_a_step_in_parts_is_the_fused_one(tmp_path, option):
    class Listens(TrainerCallback):
        def on_pre_optimizer_step(self, *args, **kwargs):
            pass

    options = {"max_steps": 3, "gradient_accumulation_steps": 2, **option}
    fused = make_trainer(tmp_path, **options)
    parts = make_trainer(tmp_path, callbacks=[Listens()], **options)
    assert fused.train().training_loss == pytest.approx(parts.train().training_loss, rel=1e-6)
    for name, value in weights(fused).items():
        np.testing.assert_allclose(value, weights(parts)[name], atol=1e-5, err_msg=name)


def test_evaluation_and_prediction_are_those_of_the_reference(tmp_path):
    device = make_trainer(tmp_path)
    reference = make_trainer(tmp_path, make_model("reference"), use_cpu=True)
    assert device.evaluate()["eval_loss"] == pytest.approx(
        reference.evaluate()["eval_loss"], rel=1e-5
    )
    got, expected = device.predict(ROWS), reference.predict(ROWS)
    np.testing.assert_allclose(got.predictions, expected.predictions, atol=1e-5)
    np.testing.assert_array_equal(got.label_ids, expected.label_ids)
