"""bfloat16 moves results no further from float32 than 1.5 times what PyTorch's autocast does.

Distances are 2-norms from what transformers computes in float32, over a few batches of MRPC
together: rounding errors are random, and the distance that one batch puts between two small tensors
may be anything.
"""

import numpy as np
import pytest
import torch
import transformers
from hugging_face import batch, mrpc, no_dropout, tokenizer

import ftcore

MOST = 1.5

pytestmark = pytest.mark.onednn


@pytest.fixture(autouse=True)
def needs_bfloat16():
    if not ftcore._core.Backend("cpu").supports("bfloat16"):
        pytest.skip("this processor does not train in bfloat16")


def both(name):
    """A model of transformers and the same of ftcore, in evaluation mode."""
    models = []
    for library in (transformers, ftcore):
        library.set_seed(42)
        models.append(library.AutoModelForSequenceClassification.from_pretrained(name))
    return models


def theirs(model, inputs, bfloat16):
    """Logits and gradients by name; the classifier's weight and bias are one."""
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        output = model(**inputs)
    output.loss.backward()
    gradients = {name: p.grad.numpy().copy() for name, p in model.named_parameters()}
    return output.logits.detach().float().numpy(), join_classifier(gradients)


def ours(model, inputs):
    """The same of a model of ftcore's, in its precision."""
    model.zero_grad()
    output = model(**inputs)
    output.loss.backward()
    gradients = {p.name: p.grad.copy() for p in model.parameters()}
    return output.logits.detach().numpy(), join_classifier(gradients)


def join_classifier(gradients):
    """A bias of two labels has one degree of freedom, so that its error in a few batches says
    little: it counts as a column of the weight, whose error has the same origin."""
    bias = gradients.pop("classifier.bias")
    gradients["classifier.weight"] = np.column_stack([gradients["classifier.weight"], bias])
    return gradients


def is_key_bias(name):
    return name.endswith(("key.bias", "k_lin.bias"))


def distance(pairs):
    return sum(float(np.square(a - b, dtype=np.float64).sum()) for a, b in pairs) ** 0.5


@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("minilm", (0, 100, 200, 300)),
        ("distilbert-base-uncased", (0,)),
        pytest.param("bert-base-uncased", (0, 200), marks=pytest.mark.slow),
    ],
)
def test_logits_and_gradients_are_as_near_to_float32_as_autocast_s(hub, name, starts):
    their_model, our_model = both(name)
    our_model.core.precision = "bfloat16"
    expected, autocast, got = [], [], []
    for start in starts:
        inputs = batch(name, start, 8)
        expected.append(theirs(their_model, inputs, False))
        autocast.append(theirs(their_model, inputs, True))
        got.append(ours(our_model, inputs))

    def ratio(select):
        allowed, moved = (
            distance((select(a), select(b)) for a, b in zip(results, expected, strict=True))
            for results in (autocast, got)
        )
        assert moved > 0, "nothing was rounded"
        return moved / allowed

    assert ratio(lambda result: result[0]) <= MOST
    assert ratio(lambda result: np.concatenate([g.ravel() for g in result[1].values()])) <= MOST
    ratios = {}
    for parameter in expected[0][1]:
        if is_key_bias(parameter):  # its gradient is 0: all that is there is error
            query = parameter.replace("key", "query").replace("k_lin", "q_lin")
            for (_, right), (_, here) in zip(expected, got, strict=True):
                assert np.abs(here[parameter]).max() <= 0.005 * np.linalg.norm(right[query])
        else:
            ratios[parameter] = ratio(lambda result, p=parameter: result[1][p])
    assert max(ratios.values()) <= MOST, sorted(ratios.items(), key=lambda item: -item[1])[:5]


@pytest.mark.slow
def test_losses_of_training_stay_as_near_to_float32_s_as_those_of_transformers(hub, tmp_path):
    def losses(library, bf16):
        library.set_seed(42)
        trainer = library.Trainer(
            library.AutoModelForSequenceClassification.from_pretrained(
                "minilm", **no_dropout("minilm")
            ),
            library.TrainingArguments(
                str(tmp_path / library.__name__),
                max_steps=16,
                bf16=bf16,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            ),
            data_collator=transformers.DataCollatorWithPadding(tokenizer("minilm")),
            train_dataset=mrpc("minilm")["train"],
        )
        trainer.train()
        return np.array([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])

    expected = losses(transformers, False)
    autocast, got = losses(transformers, True), losses(ftcore, True)
    assert len(got) == 16
    assert np.abs(losses(ftcore, False) - expected).max() < 1e-5
    assert 0 < np.linalg.norm(got - expected) <= MOST * np.linalg.norm(autocast - expected)
