"""The model object: what goes in, what comes out, and what it refuses."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

import ftcore
from ftcore import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)


def gradients(model) -> dict[str, np.ndarray]:
    return {p.name: p.grad.copy() for p in model.parameters()}


def tensors(batch) -> dict:
    return {name: torch.tensor(value) for name, value in batch.items()}


def assert_close(one, other, factor=1.0):
    for name, value in one.items():
        np.testing.assert_allclose(value, factor * other[name], rtol=1e-5, atol=1e-7, err_msg=name)


def test_using_ftcore_loads_no_torch(tmp_path):
    code = (
        "import sys, ftcore\n"
        "config = ftcore.BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1,"
        " num_attention_heads=1, intermediate_size=4)\n"
        "model = ftcore.BertForSequenceClassification(config)\n"
        "rows = [{'input_ids': [1, 2], 'labels': 0}] * 3\n"
        f"args = ftcore.TrainingArguments({str(tmp_path)!r}, disable_tqdm=True)\n"
        "ftcore.Trainer(model, args, train_dataset=rows).train()\n"
        "loaded = {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    assert all(getattr(ftcore, name) is not None for name in ftcore.__all__)
    assert set(ftcore.__all__) <= set(dir(ftcore))
    with pytest.raises(AttributeError, match="AutoModelForMaskedLM"):
        _ = ftcore.AutoModelForMaskedLM


def test_output_by_attribute_key_and_position(small_model, small_batch):
    output = small_model(**small_batch)
    assert output.logits.shape == (3, 2)
    assert output.logits is output["logits"] is output[1] is output.to_tuple()[1]
    assert output[:1] == (output.loss,)
    assert list(output) == ["loss", "logits"]
    del small_batch["labels"]
    output = small_model(**small_batch)
    assert output.loss is None and output[0] is output.logits
    (logits,) = small_model(**small_batch, return_dict=False)
    assert np.array_equal(logits, output.logits)


@pytest.mark.parametrize("kind", [np.array, list, torch.tensor])
def test_lists_arrays_and_tensors_give_the_same(small_model, small_batch, kind):
    expected = small_model(**{k: np.array(v, np.int32) for k, v in small_batch.items()})
    output = small_model(**{name: kind(value) for name, value in small_batch.items()})
    assert output.loss.item() == expected.loss.item()
    assert np.array_equal(np.asarray(output.logits.tolist(), np.float32), expected.logits)


def test_tensors_in_tensors_out(small_model, small_batch):
    output = small_model(**tensors(small_batch))
    assert isinstance(output.logits, torch.Tensor) and output.logits.dtype == torch.float32
    assert output.loss.shape == () and output.loss.requires_grad
    with torch.no_grad():
        assert not small_model(**tensors(small_batch)).loss.requires_grad


def test_the_loss_is_a_number_without_torch(small_model, small_batch):
    loss = small_model(**small_batch).loss
    assert float(loss) == loss.item() and f"{loss:.3f}" == f"{loss.item():.3f}"
    assert float(loss / 2) == loss.item() / 2 == float(0.5 * loss)


def test_backward_with_torch_equals_backward_without(small_model, small_batch):
    small_model(**small_batch).loss.backward()
    expected = gradients(small_model)
    small_model.zero_grad()
    small_model(**tensors(small_batch)).loss.backward()
    assert_close(gradients(small_model), expected)


@pytest.mark.parametrize("as_tensors", [False, True])
def test_a_scaled_loss_has_a_scaled_gradient(small_model, small_batch, as_tensors):
    small_model(**small_batch).loss.backward()
    expected = gradients(small_model)
    small_model.zero_grad()
    batch = tensors(small_batch) if as_tensors else small_batch
    (small_model(**batch).loss / 4).backward()
    assert_close(gradients(small_model), expected, 0.25)


def test_gradients_add_up_until_they_are_forgotten(small_model, small_batch):
    small_model(**small_batch).loss.backward()
    expected = gradients(small_model)
    small_model(**small_batch).loss.backward()
    assert_close(gradients(small_model), expected, 2)
    small_model.zero_grad()
    assert all(p.grad is None for p in small_model.parameters())


def test_a_loss_of_ones_own_from_logits(small_model, small_batch):
    small_model(**small_batch).loss.backward()
    expected = gradients(small_model)
    small_model.zero_grad()
    batch = tensors(small_batch)
    labels = batch.pop("labels")
    torch.nn.functional.cross_entropy(small_model(**batch).logits, labels).backward()
    assert_close(gradients(small_model), expected)


def test_loss_and_logits_in_one_graph(small_model, small_batch):
    small_model(**small_batch).loss.backward()
    expected = gradients(small_model)
    small_model.zero_grad()
    output = small_model(**tensors(small_batch))
    own = torch.nn.functional.cross_entropy(output.logits, torch.tensor(small_batch["labels"]))
    (output.loss + 2 * own).backward()
    assert_close(gradients(small_model), expected, 3)


def test_backward_goes_through_each_output_once(small_model, small_batch):
    loss = small_model(**small_batch).loss
    loss.backward()
    with pytest.raises(RuntimeError, match="already"):
        loss.backward()


@pytest.mark.parametrize("as_tensors", [False, True])
def test_backward_belongs_to_the_latest_output(small_model, small_batch, as_tensors):
    batch = tensors(small_batch) if as_tensors else small_batch
    first = small_model(**batch).loss
    small_model(**batch)
    with pytest.raises(RuntimeError, match="latest"):
        first.backward()


def test_dropout_is_on_in_training_alone(small_config, small_batch):
    small_config.hidden_dropout_prob = 0.5
    ftcore.set_seed(1)
    model = BertForSequenceClassification(small_config)
    assert model.training
    assert not np.array_equal(model(**small_batch).logits, model(**small_batch).logits)
    model.eval()
    assert not model.training
    assert np.array_equal(model(**small_batch).logits, model(**small_batch).logits)


def test_dropout_follows_the_seed(small_config, small_batch):
    small_config.hidden_dropout_prob = 0.5

    def logits(seed):
        ftcore.set_seed(seed)
        model = BertForSequenceClassification(small_config)
        for p in model.parameters():
            p.data[...] = 0.1
        return model(**small_batch).logits

    assert np.array_equal(logits(1), logits(1))
    assert not np.array_equal(logits(1), logits(2))


def test_padding_changes_nothing(small_model, small_batch):
    small_batch["input_ids"] = [row + [4, 4] for row in small_batch["input_ids"]]
    small_batch["attention_mask"] = [row + [0, 0] for row in small_batch["attention_mask"]]
    padded = small_model(**small_batch).logits
    rows = [[2, 5, 6, 3], [2, 7, 3], [2, 9, 3]]
    single = np.concatenate([small_model([row]).logits for row in rows])
    np.testing.assert_allclose(padded, single, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("num_labels", "labels", "problem"),
    [
        (1, [0.5, 1.5, -2.0], "regression"),
        (2, [0, 1, 1], "single_label_classification"),
        (3, [[0.0, 1.0, 0.0]] * 3, "multi_label_classification"),
    ],
)
@pytest.mark.parametrize("as_tensors", [False, True])
def test_the_labels_choose_the_loss(
    small_config, small_batch, num_labels, labels, problem, as_tensors
):
    small_config.num_labels = num_labels
    model = BertForSequenceClassification(small_config).eval()
    assert model.config.problem_type is None
    small_batch["labels"] = labels
    output = model(**(tensors(small_batch) if as_tensors else small_batch))
    assert model.config.problem_type == problem
    logits, target = torch.tensor(np.asarray(output.logits.tolist())), torch.tensor(labels)
    expected = {
        "regression": lambda: torch.nn.functional.mse_loss(logits[:, 0], target),
        "single_label_classification": lambda: torch.nn.functional.cross_entropy(logits, target),
        "multi_label_classification": lambda: torch.nn.functional.binary_cross_entropy_with_logits(
            logits, target.double()
        ),
    }[problem]()
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    output.loss.backward()


def test_labels_of_minus_100_take_no_part(small_model, small_batch):
    small_batch["labels"] = [0, -100, -100]
    alone = small_model([small_batch["input_ids"][0]], labels=[0]).loss
    assert small_model(**small_batch).loss.item() == pytest.approx(alone.item(), rel=1e-6)


def test_parameters_share_the_models_memory(small_model, small_batch):
    before = small_model(**small_batch).logits
    bias = small_model.state_dict()["classifier.bias"]
    parameter = dict(small_model.named_parameters())["classifier.bias"]
    assert parameter.shape == (2,) and parameter.numel() == 2 and parameter.requires_grad
    bias += 1
    np.testing.assert_allclose(small_model(**small_batch).logits, before + 1, rtol=1e-5)
    parameter.torch().sub_(1)
    np.testing.assert_allclose(small_model(**small_batch).logits, before, rtol=1e-5, atol=1e-6)
    assert np.shares_memory(parameter.numpy(), parameter.data)


def test_freezing_is_refused_with_what_to_do(small_model):
    parameter = next(small_model.parameters())
    with pytest.raises(ValueError, match="AdamW"):
        parameter.requires_grad = False


def test_parameters_are_counted(small_model):
    assert small_model.num_parameters() == sum(p.numel() for p in small_model.parameters())
    embeddings = (50 + 20 + 2) * 16
    assert small_model.num_parameters(exclude_embeddings=True) == (
        small_model.num_parameters() - embeddings
    )


def test_load_state_dict_takes_arrays_and_tensors(small_model):
    state = {
        name: torch.full(value.shape, 0.5) if value.ndim == 1 else np.full_like(value, 2)
        for name, value in small_model.state_dict().items()
    }
    assert small_model.load_state_dict(state) == ([], [])
    assert all((p.data == (0.5 if p.data.ndim == 1 else 2)).all() for p in small_model.parameters())


def test_load_state_dict_refuses_before_it_copies(small_model):
    before = small_model.state_dict()["classifier.bias"].copy()
    state = {name: np.ones_like(value) for name, value in small_model.state_dict().items()}
    with pytest.raises(RuntimeError, match="extra"):
        small_model.load_state_dict({**state, "extra": before})
    with pytest.raises(RuntimeError, match="classifier.weight has shape"):
        small_model.load_state_dict({**state, "classifier.weight": before})
    with pytest.raises(TypeError, match="classifier.weight"):
        small_model.load_state_dict({**state, "classifier.weight": np.zeros((2, 16), np.int32)})
    assert np.array_equal(small_model.state_dict()["classifier.bias"], before)
    result = small_model.load_state_dict({"classifier.bias": before}, strict=False)
    assert "classifier.weight" in result.missing_keys


def test_devices_that_cannot_be_used_leave_the_model_where_it_is(small_model, monkeypatch):
    assert small_model.to("cpu") is small_model is small_model.to(torch.device("cpu"))
    assert small_model.cpu().device == torch.device("cpu")
    monkeypatch.setattr(ftcore._core, "cuda_devices", lambda: [])
    core = small_model.core
    for device in ("cuda", "cuda:1", 0, torch.device("cuda", 2)):
        with pytest.raises(RuntimeError, match="no GPU can be used"):
            small_model.to(device)
    with pytest.raises(RuntimeError, match="no GPU can be used"):
        small_model.cuda()
    with pytest.raises(RuntimeError, match="'meta' is not supported"):
        small_model.to("meta")
    with pytest.raises(ValueError, match=r"torch.float16.*weights are float32"):
        small_model.to(torch.float16)
    assert small_model.to(None) is small_model
    assert small_model.core is core and small_model.device == torch.device("cpu")


@pytest.mark.parametrize("name", ["inputs_embeds", "output_attentions", "output_hidden_states"])
def test_unsupported_arguments_are_refused_by_name(small_model, small_batch, name):
    with pytest.raises(TypeError, match=name):
        small_model(**small_batch, **{name: True})


def test_labels_keep_their_names(small_config, tmp_path):
    small_config.set_labels(id2label={0: "different", 1: "same", 2: "unsure"})
    BertForSequenceClassification(small_config).save_pretrained(tmp_path)
    config = AutoModelForSequenceClassification.from_pretrained(tmp_path).config
    assert config.num_labels == 3
    assert config.id2label == {0: "different", 1: "same", 2: "unsure"}
    assert config.label2id == {"different": 0, "same": 1, "unsure": 2}


def test_new_names_for_labels_replace_the_old(small_model, tmp_path):
    small_model.save_pretrained(tmp_path)
    load = AutoModelForSequenceClassification.from_pretrained
    assert load(tmp_path, id2label={0: "no", 1: "yes"}).config.label2id == {"no": 0, "yes": 1}
    assert load(tmp_path, label2id={"no": 0, "yes": 1}).config.id2label == {0: "no", 1: "yes"}
    assert load(tmp_path, num_labels=2).config.id2label == {0: "LABEL_0", 1: "LABEL_1"}
    with pytest.raises(ValueError, match="num_labels is 3"):
        load(tmp_path, num_labels=3, id2label={0: "no", 1: "yes"})


def test_unknown_fields_of_a_configuration_are_kept(small_config, tmp_path):
    small_config.favourite_colour = "blue"
    BertForSequenceClassification(small_config).save_pretrained(tmp_path)
    assert BertConfig.from_pretrained(tmp_path).favourite_colour == "blue"


def test_a_configuration_can_be_overridden(small_model, tmp_path):
    small_model.save_pretrained(tmp_path)
    model = BertForSequenceClassification.from_pretrained(tmp_path, hidden_dropout_prob=0.3)
    assert model.config.hidden_dropout_prob == 0.3
    with pytest.raises(TypeError, match="hidden_dropout"):
        BertForSequenceClassification.from_pretrained(tmp_path, hidden_dropout=0.3)
    with pytest.raises(ValueError, match="distilbert"):
        DistilBertForSequenceClassification.from_pretrained(tmp_path)


def test_distilbert_has_no_token_types(small_batch):
    config = DistilBertConfig(vocab_size=50, dim=16, n_layers=1, n_heads=2, hidden_dim=24)
    assert config.hidden_size == 16
    model = AutoModelForSequenceClassification.from_config(config).eval()
    assert isinstance(model, DistilBertForSequenceClassification)
    assert math.isfinite(model(**small_batch, token_type_ids=np.zeros((3, 4), int)).loss.item())
    with pytest.raises(ValueError, match="no token types"):
        model(**small_batch, token_type_ids=np.ones((3, 4), int))


def test_what_is_saved_says_that_it_is_float32(small_config, tmp_path):
    small_config.dtype = small_config.torch_dtype = "bfloat16"
    BertForSequenceClassification(small_config).save_pretrained(tmp_path)
    assert BertConfig.from_pretrained(tmp_path).dtype == "float32"
    with pytest.raises(ValueError, match="dtype"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype="bfloat16")


def test_a_seed_must_be_a_seed():
    for seed, error in ((-1, ValueError), (2**32, ValueError), ("1", TypeError), (1.0, TypeError)):
        with pytest.raises(error, match="seed"):
            ftcore.set_seed(seed)
