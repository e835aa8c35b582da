"""float16 training: dynamic loss scaling is torch's, and a step that overflows changes nothing.

On the reference backend, which takes float16 as a GPU does.
"""

import json
import math

import numpy as np
import pytest
import torch
from support import ADAMW, core_model, make_batch, pack, parameters, torch_model

import ftcore.training.arguments
from ftcore import (
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    _core,
    set_seed,
)
from ftcore.training.scaling import LossScaler

INITIAL_SCALE = 65536.0


def group_of(core):
    return np.zeros(len(core.parameters()), np.int32)


def step(core, number, scale, adamw=ADAMW, max_norm=1.0, batches=1):
    micro = [pack(make_batch(seed=10 * number + i)) for i in range(batches)]
    return core.train_step(
        micro, 1 / batches, 0, [adamw], group_of(core), number, max_norm, gradient_scale=scale
    )


# The arithmetic


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("architecture", ["bert", "distilbert"])
def test_steps_follow_torch_s_autocast_and_scaler(architecture, batches):
    model = torch_model(architecture, 3).float()
    core = core_model(model, "reference")
    core.precision = "float16"
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    # torch rounds the gradients of weights to float16, too: at its own scale they overflow here.
    adamw, scaler, ours = (1e-3, *ADAMW[1:]), torch.amp.GradScaler("cpu", 256.0), LossScaler()
    ours.scale = 256.0
    for number in range(1, 5):
        total = 0.0
        for i in range(batches):
            batch = {k: torch.tensor(v) for k, v in make_batch(seed=10 * number + i).items()}
            if architecture == "distilbert":
                del batch["token_type_ids"]
            with torch.autocast("cpu", torch.float16):
                loss = model(**batch).loss / batches
            scaler.scale(loss).backward()
            total += loss.item()
        scaler.unscale_(optimizer)
        expected = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        loss, norm = step(core, number, ours.scale, adamw, batches=batches)
        assert ours.update(norm) and ours.scale == scaler.get_scale()
        assert loss == pytest.approx(total, rel=5e-3)
        assert norm == pytest.approx(expected, rel=3e-2)


@pytest.mark.parametrize("max_norm", [0.0, 1.0])
def test_a_power_of_two_changes_nothing_while_nothing_over_or_underflows(max_norm):
    cores = [core_model(torch_model("bert", 3), "reference") for _ in range(2)]
    for number in range(1, 4):
        plain, scaled = (
            step(core, number, scale, max_norm=max_norm)
            for core, scale in zip(cores, (0.0, 1024.0), strict=True)
        )
        assert plain[0] == scaled[0]
        if max_norm:
            assert plain[1] == pytest.approx(scaled[1], rel=1e-6)
    for name, value in parameters(cores[0]).items():
        np.testing.assert_allclose(value, parameters(cores[1])[name], rtol=1e-5, atol=1e-6)


def test_scaling_keeps_gradients_that_would_be_zero():
    def norm(scale):
        core = core_model(torch_model("bert", 3), "reference")
        core.precision = "float16"
        batch, loss_scale = [pack(make_batch())], 1e-7
        return core.train_step(
            batch, loss_scale, 0, [ADAMW], group_of(core), 1, 1e9, gradient_scale=scale
        )[1]

    core = core_model(torch_model("bert", 3), "reference")
    expected = core.train_step([pack(make_batch())], 1e-7, 0, [ADAMW], group_of(core), 1, 1e9)[1]
    assert norm(INITIAL_SCALE) == pytest.approx(expected, rel=0.02)
    assert norm(1.0) < 0.9 * expected


def test_an_overflow_changes_nothing_and_is_no_error():
    core = core_model(torch_model("bert", 3), "reference")
    core.precision = "float16"
    step(core, 1, 1024.0)
    before = {name: value.copy() for name, value in parameters(core).items()}
    moments = [[m.copy() for m in core.moments(i)] for i in range(len(before))]
    loss, norm = step(core, 2, 2.0**30)
    assert math.isfinite(loss) and not math.isfinite(norm)
    for name, value in parameters(core).items():
        np.testing.assert_array_equal(value, before[name])
    for i, pair in enumerate(moments):
        for one, other in zip(pair, core.moments(i), strict=True):
            np.testing.assert_array_equal(one, other)
    assert math.isfinite(step(core, 2, 1024.0)[1])


def test_a_loss_that_is_not_finite_is_an_error_whatever_the_scale():
    core = core_model(torch_model("bert", 3), "reference")
    core.precision = "float16"
    core.set_parameter(0, core.parameter(0) * np.float32(np.nan))
    with pytest.raises(FloatingPointError, match="the loss is -?nan at step 4"):
        step(core, 4, 1024.0)


def test_results_of_a_scaled_step_are_taken_before_the_next():
    core = core_model(torch_model("bert", 3), "reference")
    batch, groups = [pack(make_batch())], ([ADAMW], group_of(core))
    core.train_step(batch, 1.0, 0, *groups, 1, wait=False, gradient_scale=2.0)
    for scale in (0.0, 2.0):
        with pytest.raises(RuntimeError, match="taken before the next"):
            core.train_step(batch, 1.0, 0, *groups, 2, wait=False, gradient_scale=scale)
    assert core.take_results()[1] == 1
    core.train_step(batch, 1.0, 0, *groups, 2)


@pytest.mark.parametrize("scale", [-1.0, np.nan, np.inf])
def test_scales_that_make_no_sense(scale):
    core = core_model(torch_model("bert", 3), "reference")
    with pytest.raises(ValueError, match="gradient_scale"):
        step(core, 1, scale)


# The scaler


def test_the_scale_goes_the_way_of_torch_s():
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.0)
    theirs, ours = torch.amp.GradScaler("cpu", growth_interval=3), LossScaler()
    ours.growth_interval = 3
    theirs.scale(parameter)
    for bad in (False, False, False, True, False, True, True, False, False, False, False, False):
        parameter.grad = torch.full((1,), math.inf if bad else 1.0)
        theirs.step(optimizer)
        theirs.update()
        assert ours.update(math.nan if bad else 1.0) == (not bad)
        assert ours.state_dict() == theirs.state_dict()


def test_gradients_that_no_scale_makes_finite_are_an_error():
    scaler = LossScaler()
    with pytest.raises(FloatingPointError, match="bf16=True or in float32"):
        for _ in range(40):
            assert not scaler.update(math.inf)


@pytest.mark.parametrize(
    "change", [{"scale": 0}, {"scale": math.inf}, {"_growth_tracker": -1}, {"growth_interval": "x"}]
)
def test_a_wrong_state_is_refused(change):
    scaler = LossScaler()
    before = scaler.state_dict()
    with pytest.raises(ValueError):
        scaler.load_state_dict({**before, **change})
    assert scaler.state_dict() == before


# Trainer


@pytest.fixture
def reference_gpu(monkeypatch, small_config):
    """Gives models on the reference backend, which Trainer takes for ones on a GPU."""
    monkeypatch.setattr(ftcore.training.arguments, "default_device", lambda: "cuda:0")
    monkeypatch.setattr(BertForSequenceClassification, "to", lambda model, device: model)

    def make():
        set_seed(0)
        model = BertForSequenceClassification(small_config)
        core = _core.Model(small_config.core(), "reference")
        core.copy_state(model.core)
        model.core = core
        return model

    return make


ROWS = [{"input_ids": [2, 5 + i, 3, 7][: 3 + i % 2], "label": i % 2} for i in range(16)]


def trainer(model, folder, callbacks=(), **options):
    options = {
        "num_train_epochs": 2,
        "logging_steps": 1,
        "per_device_train_batch_size": 4,
    } | options
    args = TrainingArguments(str(folder), fp16=True, disable_tqdm=True, **options)
    return Trainer(model, args, train_dataset=ROWS, callbacks=list(callbacks))


class Watch(TrainerCallback):
    """Remembers in which precision steps run; listens between their parts, if asked to."""

    def __init__(self):
        self.seen = []

    def on_step_end(self, args, state, control, model, optimizer, lr_scheduler, **kwargs):
        self.seen.append((model.core.precision, optimizer.steps, lr_scheduler.last_epoch))


class Parts(Watch):
    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        self.norm = model.core.gradient_norm()


@pytest.mark.parametrize("watch", [Watch, Parts])
def test_trainer_skips_steps_that_overflow_as_transformers_does(reference_gpu, tmp_path, watch):
    watch = watch()
    run = trainer(reference_gpu(), tmp_path, [watch])
    run._scaler = LossScaler()
    run._scaler.scale = 2.0**30
    run.train()
    scale, good = run._scaler.scale, run.optimizer.steps
    skipped = 8 - good
    assert 0 < skipped < 8 and scale == 2.0 ** (30 - skipped)
    assert run.state.global_step == 8  # skipped steps count, but for the optimizer and the schedule
    steps = [steps for _, steps, _ in watch.seen]
    assert watch.seen == [("float16", count, count) for count in steps]
    logs = [entry for entry in run.state.log_history if "loss" in entry]
    assert [math.isfinite(entry["grad_norm"]) for entry in logs] == [
        after > before for before, after in zip([0, *steps], steps, strict=False)
    ]
    assert all(math.isfinite(entry["loss"]) for entry in logs)
    assert [entry["learning_rate"] for entry in logs] == pytest.approx(
        [5e-5 * (1 - before / 8) for before in [0, *steps[:-1]]]
    )
    if isinstance(watch, Parts):  # callbacks see true gradients
        assert watch.norm == pytest.approx(logs[-1]["grad_norm"], rel=1e-5)
    assert run.model.core.precision == "float32"


def test_a_step_in_parts_is_the_fused_one(reference_gpu, tmp_path):
    weights = []
    for watch in (Watch(), Parts()):
        run = trainer(reference_gpu(), tmp_path, [watch], gradient_accumulation_steps=2)
        run.train()
        weights.append(np.concatenate([p.data.ravel() for p in run.model.parameters()]))
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-4, atol=1e-7)


def test_a_resumed_run_goes_on_with_its_scale(reference_gpu, tmp_path):
    whole = trainer(reference_gpu(), tmp_path / "whole", save_steps=5)
    whole._scaler = LossScaler()
    whole._scaler.scale = 2.0**30
    whole.train()
    checkpoint = tmp_path / "whole" / "checkpoint-5"
    saved = json.loads((checkpoint / "scaler.json").read_text())
    assert saved["scale"] < 2.0**30
    resumed = trainer(reference_gpu(), tmp_path / "resumed", save_steps=5)
    resumed.train(resume_from_checkpoint=checkpoint)
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        np.testing.assert_array_equal(one.data, other.data)
    assert resumed._scaler.state_dict() == whole._scaler.state_dict()

    (checkpoint / "scaler.json").write_text('{"scale": -1}')
    with pytest.raises(ValueError, match="scaler.json is damaged"):
        trainer(reference_gpu(), tmp_path / "other").train(resume_from_checkpoint=checkpoint)


def test_checkpoints_without_float16_have_no_scale(reference_gpu, tmp_path):
    args = TrainingArguments(str(tmp_path), max_steps=1, save_steps=1, disable_tqdm=True)
    Trainer(reference_gpu(), args, train_dataset=ROWS).train()
    assert not (tmp_path / "checkpoint-1" / "scaler.json").exists()


def test_evaluation_runs_in_float16_if_asked(reference_gpu, tmp_path):
    def loss(**options):
        args = TrainingArguments(str(tmp_path), disable_tqdm=True, **options)
        return Trainer(reference_gpu(), args, eval_dataset=ROWS).evaluate()["eval_loss"]

    exact = loss()
    assert loss(fp16=True) == loss(fp16_full_eval=True) != exact
    assert loss(fp16=True) == pytest.approx(exact, rel=1e-3)


def test_both_16_bit_types_at_once_are_refused(reference_gpu, tmp_path):
    for name in ("", "_full_eval"):
        with pytest.raises(ValueError, match=f"fp16{name} and bf16{name} cannot both be True"):
            TrainingArguments(str(tmp_path), **{f"fp16{name}": True, f"bf16{name}": True})
