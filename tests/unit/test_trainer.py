"""Trainer's own behaviour: checkpoints, resuming, callbacks, what it accepts."""

import json
import os
import pathlib
import shutil
import signal

import numpy as np
import pytest

from ftcore import (
    AdamW,
    BertForSequenceClassification,
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    get_scheduler,
    set_seed,
)


def rows(count=20, seed=0):
    """Sequences that begin with the token that their label says, and noise."""
    generator = np.random.default_rng(seed)
    return [
        {
            "input_ids": [2, 10 + label, *generator.integers(20, 50, 1 + i % 7).tolist(), 3],
            "labels": label,
        }
        for i, label in enumerate(generator.integers(0, 2, count).tolist())
    ]


@pytest.fixture
def make(small_config, tmp_path):
    """Makes a Trainer of a small model, the same every time."""

    def trainer(folder="out", dropout=0.0, callbacks=(), optimizers=(None, None), **options):
        set_seed(0)
        small_config.hidden_dropout_prob = dropout
        model = BertForSequenceClassification(small_config)
        options = {"disable_tqdm": True, "save_strategy": "no", **options}
        return Trainer(
            model,
            TrainingArguments(tmp_path / folder, **options),
            train_dataset=rows(),
            eval_dataset=rows(9, seed=1),
            compute_metrics=lambda p: {"accuracy": (p[0].argmax(-1) == p[1]).mean()},
            callbacks=list(callbacks),
            optimizers=optimizers,
        )

    return trainer


def weights(trainer):
    return {name: value.copy() for name, value in trainer.model.state_dict().items()}


def assert_same_weights(one, other):
    assert all(np.array_equal(value, other[name]) for name, value in one.items())


def folders(trainer):
    return sorted(path.name for path in pathlib.Path(trainer.args.output_dir).iterdir())


def test_training_learns(make):
    trainer = make(num_train_epochs=40, learning_rate=1e-2)
    before = trainer.evaluate(trainer.train_dataset)["eval_accuracy"]
    trainer.train()
    assert trainer.evaluate(trainer.train_dataset)["eval_accuracy"] == 1.0 > before


def test_the_same_seed_gives_the_same_weights(make):
    runs = []
    for seed in (1, 1, 2):
        trainer = make(dropout=0.3, max_steps=4, seed=seed)
        trainer.train()
        runs.append(weights(trainer))
    assert_same_weights(runs[0], runs[1])
    assert not np.array_equal(runs[0]["classifier.weight"], runs[2]["classifier.weight"])


def test_a_checkpoint_holds_all_that_is_needed(make):
    trainer = make(max_steps=4, save_strategy="steps", save_steps=2)
    trainer.train()
    assert folders(trainer) == ["checkpoint-2", "checkpoint-4"]
    folder = pathlib.Path(trainer.args.output_dir, "checkpoint-4")
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "optimizer.json",
        "optimizer.safetensors",
        "rng_state.json",
        "scheduler.json",
        "trainer_state.json",
        "training_args.json",
    ]
    loaded = BertForSequenceClassification.from_pretrained(folder)
    assert_same_weights(loaded.state_dict(), weights(trainer))
    assert json.loads((folder / "trainer_state.json").read_text())["global_step"] == 4


@pytest.mark.parametrize("stop", [2, 3, 4])
def test_a_resumed_run_takes_the_steps_of_an_uninterrupted_one(make, stop):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step >= stop

    options = {
        "dropout": 0.3,
        "num_train_epochs": 3,
        "gradient_accumulation_steps": 2,
        "per_device_train_batch_size": 4,
        "weight_decay": 0.1,
        "logging_steps": 1,
        "warmup_steps": 3,
    }
    whole = make("whole", **options)
    whole.train()
    first = make("out", callbacks=[Stop], save_strategy="steps", save_steps=1, **options)
    first.train()
    second = make("out", **options)
    output = second.train(resume_from_checkpoint=True)
    assert output.global_step == whole.state.global_step == 9
    assert_same_weights(weights(second), weights(whole))
    history = [[e for e in t.state.log_history if "loss" in e] for t in (second, whole)]
    assert history[0] == history[1]


def test_only_so_many_checkpoints_are_kept(make):
    trainer = make(max_steps=6, save_strategy="steps", save_steps=1, save_total_limit=2)
    trainer.train()
    assert folders(trainer) == ["checkpoint-5", "checkpoint-6"]


def test_a_checkpoint_of_the_same_step_is_replaced(make):
    for _ in range(2):
        trainer = make(max_steps=2, save_strategy="steps", save_steps=2)
        trainer.train()
    assert folders(trainer) == ["checkpoint-2"]


def test_save_only_model_leaves_the_optimizer_out(make):
    trainer = make(max_steps=1, save_strategy="steps", save_only_model=True)
    trainer.train()
    folder = pathlib.Path(trainer.args.output_dir, "checkpoint-1")
    assert not (folder / "optimizer.safetensors").exists()
    with pytest.raises(OSError, match="optimizer.safetensors"):
        make(max_steps=2).train(resume_from_checkpoint=folder)


def test_the_best_model_is_loaded_in_the_end(make):
    trainer = make(
        num_train_epochs=4,
        learning_rate=0.05,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="loss",
    )
    trainer.train()
    losses = {e["step"]: e["eval_loss"] for e in trainer.state.log_history if "eval_loss" in e}
    best = min(losses, key=losses.get)
    assert trainer.state.best_global_step == best
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{best}")
    assert trainer.evaluate()["eval_loss"] == pytest.approx(losses[best], rel=1e-6)


def test_saving_the_best_alone(make):
    trainer = make(
        num_train_epochs=4,
        learning_rate=0.05,
        eval_strategy="epoch",
        save_strategy="best",
        metric_for_best_model="loss",
    )
    trainer.train()
    losses = [(e["step"], e["eval_loss"]) for e in trainer.state.log_history if "eval_loss" in e]
    records = [s for i, (s, x) in enumerate(losses) if all(x < y for _, y in losses[:i])]
    assert folders(trainer) == sorted(f"checkpoint-{step}" for step in records)


def test_a_best_model_that_was_deleted_leaves_the_last(make, caplog):
    class Delete(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            self.folder = pathlib.Path(args.output_dir)

        def on_epoch_begin(self, args, state, control, **kwargs):
            for path in self.folder.glob("checkpoint-*"):
                shutil.rmtree(path)

    trainer = make(
        num_train_epochs=2,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="runtime",
        greater_is_better=False,
        callbacks=[Delete],
    )
    evaluate = trainer.evaluate
    trainer.evaluate = lambda: {**evaluate(), "eval_runtime": float(trainer.state.global_step)}
    trainer.train()
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-3")
    assert "no longer in" in caplog.text
    assert folders(trainer) == ["checkpoint-6"]
    last = BertForSequenceClassification.from_pretrained(
        pathlib.Path(trainer.args.output_dir, "checkpoint-6")
    )
    assert_same_weights(last.state_dict(), weights(trainer))


def test_metrics_and_state_are_written_as_transformers_does(make, capsys):
    trainer = make(max_steps=2)
    result = trainer.train()
    metrics = {"train_runtime": 75.126, "total_flos": 3.0 * 2**30, "train_loss": 0.123456}
    trainer.log_metrics("train", metrics)
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "***** train metrics *****",
        "  total_flos    =        3GF",
        "  train_loss    =     0.1235",
        "  train_runtime = 0:01:15.12",
    ]
    folder = pathlib.Path(trainer.args.output_dir)
    trainer.save_metrics("train", result.metrics)
    trainer.save_metrics("eval", {"eval_loss": 0.5})
    trainer.save_metrics("test", {"test_loss": 1.5}, combined=False)
    written = {path.name: json.loads(path.read_text()) for path in folder.glob("*_results.json")}
    assert written == {
        "train_results.json": result.metrics,
        "eval_results.json": {"eval_loss": 0.5},
        "test_results.json": {"test_loss": 1.5},
        "all_results.json": {**result.metrics, "eval_loss": 0.5},
    }
    trainer.save_state()
    assert json.loads((folder / "trainer_state.json").read_text())["global_step"] == 2


def test_early_stopping(make):
    trainer = make(
        num_train_epochs=50,
        learning_rate=0.5,
        eval_strategy="epoch",
        metric_for_best_model="loss",
        callbacks=[EarlyStoppingCallback(2)],
    )
    trainer.train()
    assert trainer.state.global_step < 50 * 3


def test_the_tokenizer_is_saved_with_the_model(make, tmp_path):
    class Tokenizer:
        def save_pretrained(self, folder):
            pathlib.Path(folder, "vocab.txt").write_text("[PAD]")

    trainer = make()
    trainer.processing_class = Tokenizer()
    trainer.save_model(tmp_path / "saved")
    assert (tmp_path / "saved" / "vocab.txt").exists()
    assert (tmp_path / "saved" / "model.safetensors").exists()


@pytest.mark.parametrize("event", ["on_pre_optimizer_step", "on_substep_end"])
def test_listening_within_a_step_changes_nothing(make, event):
    class Listener(TrainerCallback):
        norms = []

    def listen(self, args, state, control, model=None, **kwargs):
        if event == "on_pre_optimizer_step":
            self.norms.append(np.sqrt(sum((p.grad**2).sum() for p in model.parameters())))

    setattr(Listener, event, listen)
    options = {"max_steps": 4, "dropout": 0.2, "gradient_accumulation_steps": 2, "logging_steps": 1}
    plain, listening = make(**options), make(callbacks=[Listener], **options)
    plain.train()
    listening.train()
    for name, value in weights(plain).items():
        if not name.endswith("key.bias"):
            np.testing.assert_allclose(
                listening.model.state_dict()[name], value, rtol=1e-5, atol=1e-6, err_msg=name
            )
    logged = [e["grad_norm"] for e in listening.state.log_history if "grad_norm" in e]
    if event == "on_pre_optimizer_step":
        assert Listener.norms == pytest.approx(logged, rel=1e-5)


def test_an_optimizer_and_a_schedule_of_ones_own(make, small_config):
    trainer = make(max_steps=3, logging_steps=1)
    optimizer = AdamW(trainer.model.parameters(), lr=0.01)
    trainer.optimizer = optimizer
    trainer.lr_scheduler = get_scheduler("constant", optimizer)
    trainer.train()
    rates = [e["learning_rate"] for e in trainer.state.log_history if "learning_rate" in e]
    assert rates == [0.01] * 3
    assert optimizer.steps == 3


def test_arguments_that_changed_are_checked_before_any_step(make, small_model):
    trainer = make(max_steps=2)
    for name, value in (("per_device_train_batch_size", 0), ("fp16", True), ("num_threads", -1)):
        good = getattr(trainer.args, name)
        setattr(trainer.args, name, value)
        with pytest.raises(ValueError, match=name):
            trainer.train()
        with pytest.raises(ValueError, match=name):
            Trainer(small_model, trainer.args)
        setattr(trainer.args, name, good)
    assert trainer.optimizer is None
    trainer.args.per_device_train_batch_size = np.int64(20)
    trainer.train()
    assert trainer.state.epoch == 2


def test_training_twice_goes_on_with_a_new_schedule(make):
    trainer = make(max_steps=2, logging_steps=1)
    trainer.train()
    trainer.train()
    rates = [e["learning_rate"] for e in trainer.state.log_history if "learning_rate" in e]
    assert rates == [5e-5, 2.5e-5]
    assert trainer.optimizer.steps == 4


def test_ctrl_c_stops_between_steps_and_leaves_a_usable_model(make):
    class Press(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 2:
                os.kill(os.getpid(), signal.SIGINT)

    trainer = make(max_steps=10, callbacks=[Press])
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    # The step under way was finished, and counted.
    assert trainer.state.global_step == trainer.optimizer.steps == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    trainer.pop_callback(Press)
    trainer.train()


def test_a_second_ctrl_c_does_not_wait(make):
    class Press(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("the second press was ignored")

    with pytest.raises(KeyboardInterrupt):
        make(max_steps=10, callbacks=[Press]).train()


@pytest.mark.parametrize(
    "options",
    [
        {"model_init": lambda: None},
        {"compute_loss_func": lambda *a: None},
        {"optimizer_cls_and_kwargs": (AdamW, {})},
        {"preprocess_logits_for_metrics": lambda *a: None},
    ],
    ids=lambda options: next(iter(options)),
)
def test_refuses_what_it_does_not_do_by_name(small_model, tmp_path, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Trainer(small_model, TrainingArguments(tmp_path), **options)


@pytest.mark.parametrize("name", ["compute_loss", "training_step", "get_train_dataloader"])
def test_refuses_overrides_that_would_not_be_called(name):
    with pytest.raises(TypeError, match=name):
        type("Mine", (Trainer,), {name: lambda self: None})


def test_refuses_other_peoples_objects(small_model, tmp_path):
    torch = pytest.importorskip("torch")
    args = TrainingArguments(tmp_path)
    with pytest.raises(TypeError, match="from_pretrained"):
        Trainer(torch.nn.Linear(2, 2), args)
    with pytest.raises(TypeError, match="AdamW"):
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
        Trainer(small_model, args, optimizers=(optimizer, None))
    with pytest.raises(TypeError, match="TrainingArguments"):
        Trainer(small_model, {"output_dir": "out"})
    with pytest.raises(TypeError, match="TrainerCallback"):
        Trainer(small_model, args, callbacks=[object()])
    with pytest.raises(TypeError, match="data_collator"):
        Trainer(small_model, args, data_collator="padding")


def test_progress_bars_end_where_training_ends(make, capsys):
    trainer = make(max_steps=3, logging_steps=1, disable_tqdm=False, eval_strategy="epoch")
    trainer.train()
    shown = capsys.readouterr().err
    assert "3/3" in shown and "2/2" in shown


def test_a_run_that_was_broken_off_leaves_no_loss_behind(make):
    class BreaksOff(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 2:
                raise LookupError

    trainer = make(max_steps=3)
    start = weights(trainer)
    breaks_off = BreaksOff()
    trainer.add_callback(breaks_off)
    with pytest.raises(LookupError):
        trainer.train()
    trainer.remove_callback(breaks_off)
    trainer.model.load_state_dict(start)
    trainer.optimizer = trainer.lr_scheduler = None
    fresh = make(max_steps=3)
    assert trainer.train().training_loss == fresh.train().training_loss
    assert_same_weights(weights(trainer), weights(fresh))
