"""AdamW equals torch.optim.AdamW, and the schedules equal transformers'."""

import numpy as np
import pytest
import torch

import ftcore
from ftcore import AdamW, clip_grad_norm_, get_scheduler

BATCH_IDS = [[2, 5, 3]]


def random_gradients(model, seed):
    """Writes random gradients into the model; returns them by name."""
    model(BATCH_IDS, labels=[0]).loss.backward()
    generator = np.random.default_rng(seed)
    gradients = {}
    for p in model.parameters():
        p.grad[...] = generator.standard_normal(p.shape).astype(np.float32)
        gradients[p.name] = p.grad.copy()
    return gradients


def twins(model):
    """torch parameters with the model's values, by name."""
    return {p.name: torch.nn.Parameter(torch.tensor(p.data)) for p in model.parameters()}


def largest_difference(model, tensors):
    return max(np.abs(p.data - tensors[p.name].detach().numpy()).max() for p in model.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1},
        {"weight_decay": 0.0},
    ],
)
def test_steps_as_torch_does(small_model, options):
    tensors = twins(small_model)
    ours, theirs = (
        AdamW(small_model.parameters(), **options),
        torch.optim.AdamW(tensors.values(), **options),
    )
    for step in range(5):
        for name, gradient in random_gradients(small_model, step).items():
            tensors[name].grad = torch.tensor(gradient)
        ours.step()
        theirs.step()
    assert largest_difference(small_model, tensors) < 2e-7


def test_has_the_defaults_of_torch(small_model):
    ours = AdamW(small_model.parameters()).defaults
    theirs = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]).defaults
    assert ours == {name: theirs[name] for name in ours}


def test_gives_each_group_its_own_options(small_model):
    tensors = twins(small_model)
    decayed = [p for p in small_model.parameters() if p.decays]
    rest = [p for p in small_model.parameters() if not p.decays]
    ours = AdamW(
        [{"params": decayed, "weight_decay": 0.3, "lr": 1e-2}, {"params": rest}], weight_decay=0.0
    )
    theirs = torch.optim.AdamW(
        [
            {"params": [tensors[p.name] for p in decayed], "weight_decay": 0.3, "lr": 1e-2},
            {"params": [tensors[p.name] for p in rest]},
        ],
        weight_decay=0.0,
    )
    for name, gradient in random_gradients(small_model, 0).items():
        tensors[name].grad = torch.tensor(gradient)
    ours.step()
    theirs.step()
    assert largest_difference(small_model, tensors) < 2e-7


def test_leaves_parameters_alone_that_it_was_not_given(small_model):
    frozen = [p for p in small_model.parameters() if "embeddings" in p.name]
    before = [p.data.copy() for p in frozen]
    optimizer = AdamW([p for p in small_model.parameters() if "embeddings" not in p.name])
    random_gradients(small_model, 0)
    classifier = small_model.state_dict()["classifier.weight"].copy()
    optimizer.step()
    assert all(np.array_equal(p.data, old) for p, old in zip(frozen, before, strict=True))
    assert not np.array_equal(small_model.state_dict()["classifier.weight"], classifier)


def test_does_nothing_without_gradients(small_model):
    before = {name: value.copy() for name, value in small_model.state_dict().items()}
    optimizer = AdamW(small_model.parameters())
    optimizer.step()
    assert all(np.array_equal(small_model.state_dict()[name], before[name]) for name in before)
    assert optimizer.steps == 0


def test_zero_grad_can_leave_gradients_of_zero(small_model):
    random_gradients(small_model, 0)
    AdamW(small_model.parameters()).zero_grad(set_to_none=False)
    assert all(not p.grad.any() for p in small_model.parameters())


def test_zero_grad_forgets_the_gradients(small_model):
    random_gradients(small_model, 0)
    AdamW(small_model.parameters()).zero_grad()
    assert all(p.grad is None for p in small_model.parameters())


def test_a_new_optimizer_starts_from_moments_of_zero(small_model):
    first = AdamW(small_model.parameters())
    random_gradients(small_model, 0)
    first.step()
    tensors = twins(small_model)
    second, theirs = AdamW(small_model.parameters()), torch.optim.AdamW(tensors.values())
    for name, gradient in random_gradients(small_model, 1).items():
        tensors[name].grad = torch.tensor(gradient)
    second.step()
    theirs.step()
    assert largest_difference(small_model, tensors) < 2e-7
    with pytest.raises(RuntimeError, match="another AdamW"):
        first.step()


def test_goes_on_from_a_state_dict(small_model):
    optimizer = AdamW(small_model.parameters(), lr=1e-2)
    random_gradients(small_model, 0)
    optimizer.step()
    weights = {name: value.copy() for name, value in small_model.state_dict().items()}
    state = optimizer.state_dict()
    random_gradients(small_model, 1)
    optimizer.step()
    expected = {name: value.copy() for name, value in small_model.state_dict().items()}

    small_model.load_state_dict(weights)
    other = AdamW(small_model.parameters(), lr=5.0)
    other.load_state_dict(state)
    random_gradients(small_model, 1)
    other.step()
    assert all(np.array_equal(small_model.state_dict()[name], expected[name]) for name in expected)


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clips_as_torch_does(small_model, max_norm):
    tensors = twins(small_model)
    for name, gradient in random_gradients(small_model, 0).items():
        tensors[name].grad = torch.tensor(gradient)
    norm = clip_grad_norm_(small_model.parameters(), max_norm)
    assert norm == pytest.approx(
        torch.nn.utils.clip_grad_norm_(tensors.values(), max_norm).item(), rel=1e-6
    )
    for p in small_model.parameters():
        np.testing.assert_allclose(p.grad, tensors[p.name].grad.numpy(), rtol=1e-6, atol=1e-9)


def test_clips_all_of_a_model_or_nothing(small_model):
    with pytest.raises(ValueError, match="all gradients"):
        clip_grad_norm_(list(small_model.parameters())[:3], 1.0)


@pytest.mark.parametrize("name", ["linear", "cosine", "constant", "constant_with_warmup"])
@pytest.mark.parametrize(("warmup", "total"), [(0, 10), (3, 10), (10, 10), (4, 3)])
def test_schedules_equal_those_of_transformers(small_model, name, warmup, total):
    transformers = pytest.importorskip("transformers")
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=3e-5)
    theirs = transformers.get_scheduler(name, optimizer, warmup, total)
    ours = get_scheduler(name, AdamW(small_model.parameters(), lr=3e-5), warmup, total)
    for _ in range(total + 3):
        assert ours.get_last_lr()[0] == pytest.approx(theirs.get_last_lr()[0], rel=1e-14, abs=0)
        optimizer.step()
        theirs.step()
        ours.step()


def test_a_schedule_scales_each_group_from_its_own_rate(small_model):
    parameters = list(small_model.parameters())
    optimizer = AdamW([{"params": parameters[:2], "lr": 1.0}, {"params": parameters[2:]}], lr=0.1)
    schedule = ftcore.get_linear_schedule_with_warmup(optimizer, 0, 4)
    schedule.step()
    assert schedule.get_last_lr() == pytest.approx([0.75, 0.075])


def test_a_schedule_goes_on_from_its_state(small_model):
    optimizer = AdamW(small_model.parameters(), lr=1.0)
    schedule = get_scheduler("cosine", optimizer, 2, 10)
    for _ in range(5):
        schedule.step()
    other = get_scheduler("cosine", AdamW(small_model.parameters(), lr=5.0), 2, 10)
    other.load_state_dict(schedule.state_dict())
    schedule.step()
    other.step()
    assert other.get_last_lr() == schedule.get_last_lr()


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"lr": -1.0}, ValueError, "lr"),
        ({"betas": (0.9, 1.0)}, ValueError, "betas"),
        ({"eps": float("inf")}, ValueError, "eps"),
        ({"amsgrad": True}, ValueError, "amsgrad"),
        ({"maximize": True}, ValueError, "maximize"),
        ({"momentum": 0.9}, TypeError, "momentum"),
    ],
)
def test_refuses_wrong_options_by_name(small_model, options, error, named):
    with pytest.raises(error, match=named):
        AdamW(small_model.parameters(), **options)


def test_refuses_parameters_of_torch():
    with pytest.raises(TypeError, match="torch.optim.AdamW"):
        AdamW([torch.nn.Parameter(torch.zeros(1))])


def test_refuses_no_parameters_and_doubled_ones(small_model):
    with pytest.raises(ValueError, match="empty"):
        AdamW([])
    parameters = list(small_model.parameters())
    with pytest.raises(ValueError, match=parameters[0].name):
        AdamW([{"params": parameters}, {"params": parameters[:1]}])


def test_refuses_unknown_schedules_and_missing_numbers(small_model):
    optimizer = AdamW(small_model.parameters())
    with pytest.raises(ValueError, match="polynomial.*linear, cosine"):
        get_scheduler("polynomial", optimizer, 0, 10)
    with pytest.raises(ValueError, match="num_warmup_steps"):
        get_scheduler("linear", optimizer)
    with pytest.raises(ValueError, match="num_training_steps"):
        get_scheduler("linear", optimizer, 0)
    with pytest.raises(TypeError, match="ftcore AdamW"):
        get_scheduler("linear", torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]), 0, 10)
