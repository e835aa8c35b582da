"""The step on small models equals PyTorch's in float64 up to float32's rounding."""

import numpy as np
import pytest
import torch
from support import (
    ADAMW,
    LENGTHS,
    assert_gradients_match,
    core_config,
    core_model,
    is_key_bias,
    make_batch,
    pack,
    parameters,
    torch_model,
)

from ftcore import _core

BACKENDS = ["reference", pytest.param("cpu", marks=pytest.mark.onednn)]


def run_torch(model, batch):
    """transformers' (loss, logits) for a batch; gradients are left in the model."""
    batch = {k: torch.tensor(v) for k, v in batch.items()}
    if model.config.model_type == "distilbert":
        del batch["token_type_ids"]
    if batch["labels"].is_floating_point():
        batch["labels"] = batch["labels"].double()
        if model.config.num_labels == 1:
            batch["labels"] = batch["labels"].squeeze(-1)
    model.zero_grad()
    out = model(**batch)
    out.loss.backward()
    return out.loss.item(), out.logits.detach().numpy()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("architecture", ["bert", "distilbert"])
@pytest.mark.parametrize(
    "problem,num_labels",
    [
        ("single_label_classification", 3),
        ("regression", 1),
        ("regression", 3),
        ("multi_label_classification", 3),
    ],
)
def test_loss_logits_and_every_gradient_equal_torch(backend, architecture, problem, num_labels):
    model = torch_model(architecture, num_labels)
    model.config.problem_type = problem
    core = core_model(model, backend)
    core.problem_type = problem
    batch = make_batch(problem, num_labels=num_labels)

    expected_loss, expected_logits = run_torch(model, batch)
    loss, logits = core.forward(pack(batch), keep=True)
    core.backward()

    assert loss == pytest.approx(expected_loss, rel=1e-5)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-5, atol=1e-5)
    assert_gradients_match(core, model, relative=5e-5, key_bias=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_mask_pattern_gives_what_transformers_gives(backend):
    model = torch_model("bert", 3)
    core = core_model(model, backend)
    batch = make_batch()
    batch["attention_mask"][0, 5] = 0  # a hole
    batch["attention_mask"][2, 0] = 0  # the classifier's own row is not looked at
    batch["attention_mask"][4, :4] = 0  # padded on the left
    batch["labels"][3] = -100  # takes no part in the loss

    expected_loss, expected_logits = run_torch(model, batch)
    loss, logits = core.forward(pack(batch), keep=True)
    core.backward()

    assert loss == pytest.approx(expected_loss, rel=1e-5)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-5, atol=1e-5)
    assert_gradients_match(core, model, relative=5e-5, key_bias=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_padding_token_gets_no_embedding_gradient(backend):
    model = torch_model("bert", 3)
    core = core_model(model, backend)
    batch = make_batch()
    batch["input_ids"][0, 3] = model.config.pad_token_id  # attended to, all the same
    run_torch(model, batch)
    core.forward(pack(batch), keep=True)
    core.backward()
    assert not core.gradient(0)[model.config.pad_token_id].any()
    assert_gradients_match(core, model, relative=5e-5, key_bias=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("architecture", ["bert", "distilbert"])
def test_clipped_adamw_steps_follow_torch(backend, architecture):
    model = torch_model(architecture, 3)
    core = core_model(model, backend)
    decayed, plain = [], []
    group_of = np.zeros(len(core.parameters()), np.int32)
    for i, (name, _, decays) in enumerate(core.parameters()):
        (decayed if decays else plain).append(model.get_parameter(name))
        group_of[i] = 0 if decays else 1
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}], lr=1e-2
    )
    groups = [ADAMW, (*ADAMW[:4], 0.0)]
    for step in range(1, 6):
        batch = make_batch(seed=step)  # other words at each step: rows become active one by one
        expected_loss, _ = run_torch(model, batch)
        expected_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        optimizer.step()
        loss, norm = core.train_step([pack(batch)], 1.0, 0, groups, group_of, step, 1.0)
        assert loss == pytest.approx(expected_loss, rel=2e-4)
        assert norm == pytest.approx(expected_norm, rel=2e-4)
    for name, value in parameters(core).items():
        if not is_key_bias(name):
            expected = model.get_parameter(name).detach().numpy()
            np.testing.assert_allclose(value, expected, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_accumulated_micro_steps_equal_their_sum(backend):
    model = torch_model("bert", 3)
    core = core_model(model, backend)
    batches = [make_batch(seed=1), make_batch(seed=2, lengths=[5, 20])]
    losses, total = [], {}
    for batch in batches:
        losses.append(run_torch(model, batch)[0])
        for name, p in model.named_parameters():
            total[name] = total.get(name, 0) + 0.5 * p.grad
    for name, p in model.named_parameters():
        p.grad = total[name]

    for batch in batches:
        core.forward(pack(batch), keep=True)
        core.backward(loss_scale=0.5)
    assert_gradients_match(core, model, relative=5e-5, key_bias=1e-5)

    loss, norm = core.train_step(
        [pack(b) for b in batches], 0.5, 0, [ADAMW], np.zeros(len(total), np.int32), 1, 1e9
    )
    assert loss == pytest.approx(sum(losses) / 2, rel=1e-5)
    expected = torch.nn.utils.get_total_norm([p.grad for p in model.parameters()]).item()
    assert norm == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_backward_takes_a_gradient_of_the_logits(backend):
    model = torch_model("bert", 3)
    core = core_model(model, backend)
    batch = make_batch()
    labels = batch.pop("labels")
    weights = np.random.default_rng(3).standard_normal((len(labels), 3)).astype(np.float32)
    out = model(**{k: torch.tensor(v) for k, v in batch.items()})
    (out.logits * torch.tensor(weights)).sum().backward()
    loss, _ = core.forward(pack({**batch, "labels": None}), keep=True)
    assert loss is None
    core.backward(dlogits=weights)
    assert_gradients_match(core, model, relative=5e-5, key_bias=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_forward_alone_equals_forward_that_keeps(backend):
    core = core_model(torch_model("bert", 3, layers=5), backend)
    large, small = pack(make_batch(lengths=[32, 30, 31, 32])), pack(make_batch(lengths=[1, 2]))
    for batch in (small, large, small):
        kept = core.forward(batch, keep=True)
        alone = core.forward(batch)
        assert kept[0] == alone[0]
        np.testing.assert_array_equal(kept[1], alone[1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_sequences_of_one_token(backend):
    model = torch_model("bert", 3)
    core = core_model(model, backend)
    batch = make_batch(lengths=[1] * 33)
    expected_loss, expected_logits = run_torch(model, batch)
    loss, logits = core.forward(pack(batch), keep=True)
    core.backward()
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    np.testing.assert_allclose(logits, expected_logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_dropout_depends_on_seed_and_step_alone(backend):
    core = core_model(torch_model("bert", 3), backend, dropout=0.3)
    batch = pack(make_batch())
    plain = core.forward(batch)[1]
    first = core.forward(batch, training=True, seed=1, step=2, micro_step=3)[1]
    again = core.forward(batch, training=True, seed=1, step=2, micro_step=3)[1]
    np.testing.assert_array_equal(first, again)
    for change in (dict(seed=2), dict(step=3), dict(micro_step=4)):
        other = core.forward(
            batch, training=True, **{**dict(seed=1, step=2, micro_step=3), **change}
        )
        assert np.abs(first - other[1]).max() > 1e-3
    assert np.abs(first - plain).max() > 1e-3
    np.testing.assert_array_equal(core.forward(batch)[1], plain)


@pytest.mark.parametrize("backend", BACKENDS)
def test_dropout_keeps_the_logits_mean(backend):
    """With dropout before the classifier alone, logits average to those without it."""
    model = torch_model("bert", 3)
    core = _core.Model({**core_config(model.config), "classifier_dropout": 0.25}, backend)
    for name, view in parameters(core).items():
        view[...] = model.get_parameter(name).detach().numpy()
    batch = pack(make_batch())
    plain = core.forward(batch)[1]
    draws = np.stack([core.forward(batch, training=True, step=s)[1] for s in range(400)])
    error = np.abs(draws.mean(0) - plain) / (draws.std(0) / np.sqrt(len(draws)))
    assert error.max() < 5


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("architecture", ["bert", "distilbert"])
def test_gradients_under_dropout_match_differences(backend, architecture):
    """Backward uses the masks of its forward: the loss changes along a direction as it says."""
    core = core_model(torch_model(architecture, 3), backend, dropout=0.2)
    batch = pack(make_batch())
    how = dict(training=True, seed=5, step=1)
    core.forward(batch, **how)
    core.backward()
    rng = np.random.default_rng(0)
    for i, (name, shape, _) in enumerate(core.parameters()):
        if is_key_bias(name):
            continue
        gradient, value = core.gradient(i), core.parameter(i)
        direction = gradient / np.linalg.norm(gradient)
        direction = direction + 0.1 * rng.standard_normal(shape).astype(np.float32) / np.sqrt(
            direction.size
        )
        saved, losses = value.copy(), []
        for sign in (1, -1):
            value[...] = saved + sign * np.float32(2e-3) * direction
            losses.append(core.forward(batch, **how)[0])
        value[...] = saved
        expected = float((gradient * direction).sum())
        assert (losses[0] - losses[1]) / 4e-3 == pytest.approx(expected, rel=0.03, abs=1e-3), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_same_seed_gives_the_same_bits(backend):
    runs = []
    for _ in range(2):
        core = core_model(torch_model("bert", 3), backend, dropout=0.1, threads=2)
        group_of = np.zeros(len(core.parameters()), np.int32)
        for step in range(1, 11):
            core.train_step([pack(make_batch(seed=step))], 1.0, 3, [ADAMW], group_of, step, 1.0)
        runs.append(parameters(core))
    for name, value in runs[0].items():
        np.testing.assert_array_equal(value, runs[1][name], err_msg=name)


def test_parameters_out_of_every_group_are_left_alone():
    core = core_model(torch_model("bert", 3), "reference")
    before = {name: value.copy() for name, value in parameters(core).items()}
    group_of = np.full(len(before), -1, np.int32)
    group_of[-2:] = 0
    core.train_step([pack(make_batch())], 1.0, 0, [ADAMW], group_of, 1, 1.0)
    for name, value in parameters(core).items():
        changed = not np.array_equal(value, before[name])
        assert changed == name.startswith("classifier."), name


def test_gradients_written_by_the_user_are_applied():
    """Rows of the word embedding that no batch touched count, once their gradient is set."""
    core = core_model(torch_model("bert", 3), "reference")
    core.forward(pack(make_batch()), keep=True)
    core.backward()
    core.gradient(0)[...] = 1.0
    before = core.parameter(0).copy()
    core.update([(0.5, 0.9, 0.999, 1e-8, 0.0)], np.zeros(len(core.parameters()), np.int32), 1)
    np.testing.assert_allclose(core.parameter(0), before - 0.5, atol=1e-6)


def test_moments_set_from_outside_continue_a_run():
    model = torch_model("bert", 3)
    whole, part = core_model(model, "reference"), core_model(model, "reference")
    group_of = np.zeros(len(whole.parameters()), np.int32)
    batches = [pack(make_batch(seed=s)) for s in range(4)]
    for step, batch in enumerate(batches, 1):
        whole.train_step([batch], 1.0, 0, [ADAMW], group_of, step, 1.0)
    for step, batch in enumerate(batches[:2], 1):
        part.train_step([batch], 1.0, 0, [ADAMW], group_of, step, 1.0)
    resumed = core_model(model, "reference")
    for i in range(len(group_of)):
        resumed.parameter(i)[...] = part.parameter(i)
        for to, source in zip(resumed.moments(i), part.moments(i), strict=True):
            to[...] = source
    resumed.reload_moments()
    for step, batch in enumerate(batches[2:], 3):
        resumed.train_step([batch], 1.0, 0, [ADAMW], group_of, step, 1.0)
    for i in range(len(group_of)):
        np.testing.assert_array_equal(resumed.parameter(i), whole.parameter(i))


def test_reloading_moments_keeps_a_gradient_that_waits_for_its_update():
    core = core_model(torch_model("bert", 3), "reference")
    core.moments(0)
    batch = pack(make_batch())
    core.forward(batch, keep=True)
    core.backward()
    core.reload_moments()
    before = core.parameter(0).copy()
    core.update([ADAMW], np.zeros(len(core.parameters()), np.int32), 1)
    changed = np.abs(core.parameter(0) - before).max(1) > 5e-3
    assert set(np.flatnonzero(changed)) == set(batch.input_ids.tolist())


class TestRefusals:
    """Bad input is refused before anything changes."""

    @pytest.fixture
    def core(self):
        return core_model(torch_model("bert", 3), "reference")

    @pytest.mark.parametrize(
        "change,error,message",
        [
            (dict(input_ids=100), IndexError, "vocab_size is 100"),
            (dict(input_ids=-1), IndexError, "out of range"),
            (dict(token_type_ids=2), IndexError, "type_vocab_size is 2"),
            (dict(labels=3), IndexError, "num_labels is 3"),
            (dict(labels=-1), IndexError, "label -1 of sequence 0"),
        ],
    )
    def test_values_out_of_range(self, core, change, error, message):
        batch = make_batch()
        for name, value in change.items():
            batch[name].flat[0] = value
        before = {name: value.copy() for name, value in parameters(core).items()}
        with pytest.raises(error, match=message):
            core.train_step([pack(batch)], 1.0, 0, [ADAMW], np.zeros(len(before), np.int32), 1, 1.0)
        for name, value in parameters(core).items():
            np.testing.assert_array_equal(value, before[name])

    def test_too_long(self, core):
        with pytest.raises(ValueError, match=r"longer than max_position_embeddings \(32\)"):
            core.forward(pack(make_batch(lengths=[33])))

    def test_labels_of_the_wrong_kind(self, core):
        with pytest.raises(ValueError, match="integer label"):
            core.forward(pack(make_batch("multi_label_classification")))
        core.problem_type = "multi_label_classification"
        with pytest.raises(ValueError, match="float labels"):
            core.forward(pack(make_batch()))
        with pytest.raises(ValueError, match="labels have 2 columns, num_labels is 3"):
            core.forward(pack(make_batch("multi_label_classification", num_labels=2)))
        with pytest.raises(ValueError, match="unknown problem_type"):
            core.problem_type = "ranking"

    def test_training_without_labels(self, core):
        batch = pack({**make_batch(), "labels": None})
        with pytest.raises(ValueError, match="no labels"):
            core.train_step([batch], 1.0, 0, [], np.full(len(core.parameters()), -1, np.int32), 1)

    def test_backward_out_of_turn(self, core):
        with pytest.raises(RuntimeError, match="needs a forward"):
            core.backward()
        core.forward(pack(make_batch()), keep=True)
        core.backward()
        with pytest.raises(RuntimeError, match="one backward"):
            core.backward()
        core.forward(pack({**make_batch(), "labels": None}), keep=True)
        with pytest.raises(RuntimeError, match="no labels"):
            core.backward()

    def test_update_without_gradients(self, core):
        with pytest.raises(RuntimeError, match="no gradients"):
            core.update([ADAMW], np.zeros(len(core.parameters()), np.int32), 1)

    @pytest.mark.parametrize("where", ["loss", "gradient"])
    def test_a_loss_or_gradient_that_is_not_finite(self, core, where):
        core.train_step(
            [pack(make_batch())], 1.0, 0, [ADAMW], np.zeros(len(core.parameters()), np.int32), 1
        )
        value = core.parameter(len(core.parameters()) - 2)
        value[...] *= np.float32(np.nan if where == "loss" else 1e30)
        scale = 1.0 if where == "loss" else 1e30
        before = {name: view.copy() for name, view in parameters(core).items()}
        with pytest.raises(FloatingPointError, match="at step 17"):
            core.train_step(
                [pack(make_batch())], scale, 0, [ADAMW], np.zeros(len(before), np.int32), 17, 1.0
            )
        for name, view in parameters(core).items():
            np.testing.assert_array_equal(view, before[name])

    @pytest.mark.parametrize(
        "change,message",
        [
            (dict(num_attention_heads=5), "not a multiple"),
            (dict(hidden_dropout_prob=1.0), "hidden_dropout_prob"),
            (dict(num_labels=0), "num_labels must be at least 1"),
            (dict(layer_norm_eps=0.0), "layer_norm_eps"),
            (dict(model_type="gpt2"), "'gpt2' is not supported"),
            (dict(pad_token_id=100), "pad_token_id"),
        ],
    )
    def test_configurations(self, change, message):
        config = core_config(torch_model("bert", 3).config)
        with pytest.raises(ValueError, match=message):
            _core.Model({**config, **change}, "reference")

    def test_backends_and_threads(self):
        config = core_config(torch_model("bert", 3).config)
        with pytest.raises(ValueError, match="unknown backend 'tpu'"):
            _core.Model(config, "tpu")
        with pytest.raises(ValueError, match="threads must be at least 1"):
            _core.Model(config, "auto", -1)
        with pytest.raises(KeyError, match="vocab_size"):
            _core.Model({"model_type": "bert"})

    def test_numbers_that_would_wrap_or_spoil_the_weights(self, core):
        batch, group_of = pack(make_batch()), np.zeros(len(core.parameters()), np.int32)
        for step in (-1, 2**32):
            with pytest.raises(OverflowError):
                core.train_step([batch], 1.0, 0, [ADAMW], group_of, step, 1.0)
        with pytest.raises(OverflowError):
            core.forward(batch, training=True, micro_step=2**16)
        with pytest.raises(OverflowError):
            core.forward(batch, training=True, seed=2**64)
        with pytest.raises(ValueError, match="loss_scale must be finite"):
            core.train_step([batch], np.nan, 0, [ADAMW], group_of, 1, 0.0)
        with pytest.raises(ValueError, match="invalid learning rate"):
            core.train_step([batch], 1.0, 0, [(np.inf, *ADAMW[1:])], group_of, 1, 0.0)
        core.forward(batch, keep=True)
        core.backward()
        with pytest.raises(ValueError, match="factor must be finite"):
            core.scale_gradients(np.nan)

    def test_what_only_says_that_it_is_a_batch(self, core):
        class Impostor(float):
            __class__ = property(lambda self: _core.Batch)

        with pytest.raises(TypeError, match="expected a Batch"):
            core.forward(Impostor(4.2e-314))

    def test_a_model_larger_than_any_machine(self):
        config = core_config(torch_model("bert", 3).config)
        sizes = dict(hidden_size=2**24, intermediate_size=2**24, num_hidden_layers=4096)
        with pytest.raises(ValueError, match="too many"):
            _core.Model({**config, **sizes, "num_attention_heads": 1}, "reference")

    def test_a_batch_whose_labels_are_all_ignored(self, core):
        batch = pack({**make_batch(), "labels": np.full(len(LENGTHS), -100)})
        with pytest.raises(FloatingPointError, match="every label of a batch at step 3 is -100"):
            core.train_step([batch], 1.0, 0, [ADAMW], np.zeros(len(core.parameters()), np.int32), 3)

    def test_groups(self, core):
        batch, count = pack(make_batch()), len(core.parameters())
        with pytest.raises(ValueError, match="group_of has 3 entries"):
            core.train_step([batch], 1.0, 0, [ADAMW], np.zeros(3, np.int32), 1)
        with pytest.raises(IndexError, match="there are 1 groups"):
            core.train_step([batch], 1.0, 0, [ADAMW], np.ones(count, np.int32), 1)
        with pytest.raises(ValueError, match="invalid learning rate"):
            core.train_step([batch], 1.0, 0, [(-1.0, *ADAMW[1:])], np.zeros(count, np.int32), 1)
        with pytest.raises(TypeError, match="a group is a tuple"):
            core.train_step([batch], 1.0, 0, [None], np.zeros(count, np.int32), 1)
        with pytest.raises(ValueError, match="at least one batch"):
            core.train_step([], 1.0, 0, [ADAMW], np.zeros(count, np.int32), 1)
        with pytest.raises(TypeError):
            core.train_step(["batch"], 1.0, 0, [ADAMW], np.zeros(count, np.int32), 1)
