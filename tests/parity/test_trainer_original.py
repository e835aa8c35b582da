"""ftcore's Trainer takes transformers' models, and gives them back trained."""

import copy

import numpy as np
import pytest
import torch
import transformers
from hugging_face import mrpc, no_dropout, tokenizer

import ftcore

TRAINERS = {"transformers": transformers.Trainer, "ftcore": ftcore.Trainer}


def load(name, **fields):
    transformers.set_seed(42)
    return transformers.AutoModelForSequenceClassification.from_pretrained(name, **fields)


def arguments(folder, **options):
    options = {"max_steps": 12, "save_strategy": "no", "report_to": "none", **options}
    return transformers.TrainingArguments(str(folder), disable_tqdm=True, use_cpu=True, **options)


def make_trainer(kind, model, folder, name="tiny-bert", **options):
    data = mrpc(name)
    return TRAINERS[kind](
        model,
        arguments(folder, **options),
        data_collator=transformers.DataCollatorWithPadding(tokenizer(name)),
        train_dataset=data["train"],
        eval_dataset=data["validation"].select(range(40)),
    )


def weights(model):
    # Key biases have no effect: what is made of them is rounding noise.
    return {k: p.detach().clone() for k, p in model.named_parameters() if ".k_lin.b" not in k}


def assert_close(one, other, tolerance):
    for name, value in one.items():
        if "key.bias" not in name:
            torch.testing.assert_close(value, other[name], rtol=0, atol=tolerance, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny-bert", "distilbert-base-uncased"])
def test_a_model_of_transformers_is_trained_as_its_own_trainer_trains_it(hub, tmp_path, name):
    trained = {}
    for kind in TRAINERS:
        model = load(name, **no_dropout(name))
        before = weights(model)
        trainer = make_trainer(kind, model, tmp_path, name, max_steps=6)
        trainer.train()
        trained[kind] = weights(model), trainer.evaluate()["eval_loss"]
        assert any((before[key] != value).any() for key, value in trained[kind][0].items())
    assert_close(trained["transformers"][0], trained["ftcore"][0], 2e-6)
    assert trained["ftcore"][1] == pytest.approx(trained["transformers"][1], abs=1e-5)


def test_the_model_is_the_users_own_and_what_trainer_saves(hub, tmp_path):
    model = load("tiny-bert")
    trainer = make_trainer("ftcore", model, tmp_path)
    trainer.train()
    for parameter in trainer.model.parameters():
        np.testing.assert_array_equal(model.state_dict()[parameter.name].numpy(), parameter.data)
    with torch.no_grad():  # changed by the user: seen by what comes next
        model.classifier.bias.copy_(torch.tensor([50.0, -50.0]))
    assert (trainer.predict(trainer.eval_dataset).predictions.argmax(-1) == 0).all()
    with torch.no_grad():
        model.classifier.bias.copy_(torch.tensor([7.0, 8.0]))
    trainer.save_model(tmp_path / "saved")
    saved = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert saved.classifier.bias.tolist() == [7, 8]
    assert_close(weights(model), weights(saved), 0)


def test_training_that_is_cut_short_leaves_what_was_trained(hub, tmp_path):
    class Stop(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 3:
                raise KeyboardInterrupt

    model = load("tiny-bert")
    before = weights(model)
    trainer = make_trainer("ftcore", model, tmp_path)
    trainer.add_callback(Stop)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    head = trainer.model.state_dict()["classifier.weight"]
    np.testing.assert_array_equal(model.classifier.weight.detach().numpy(), head)
    assert (before["classifier.weight"] != model.classifier.weight).any()


def test_an_evaluation_amid_training_is_of_what_is_trained(hub, tmp_path):
    model = load("tiny-bert")
    start = make_trainer("ftcore", copy.deepcopy(model), tmp_path).evaluate()["eval_loss"]
    trainer = make_trainer(
        "ftcore", model, tmp_path, eval_strategy="steps", eval_steps=6, learning_rate=1e-3
    )
    trainer.train()
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert len(losses) == 2 and start not in losses and losses[0] != losses[1]
    assert trainer.evaluate()["eval_loss"] == losses[1]


def freeze(model):
    model.bert.embeddings.word_embeddings.weight.requires_grad = False


def change_dropout(model):
    model.dropout.p = 0.3


def exchange(model):
    model.classifier = torch.nn.Sequential(torch.nn.Linear(128, 2))


def change_configuration(model):
    model.config.num_labels = 5


def add_module(model):
    model.adapter = torch.nn.Linear(2, 2)


def add_parameter(model):
    model.scale = torch.nn.Parameter(torch.ones(()))


def share_layer(model):
    model.bert.encoder.layer[1] = model.bert.encoder.layer[0]


def hook(model):
    model.bert.pooler.register_forward_hook(lambda module, inputs, output: 2 * output)


def hook_gradient(model):
    model.classifier.weight.register_hook(torch.zeros_like)


def exchange_forward(model):
    model.bert.forward = lambda *args, **kwargs: None


def checkpoint(model):
    model.bert.encoder.gradient_checkpointing = True  # as the method that asks for it does


def lose_numbers(model):
    model.to("meta")


def infer(model):
    with torch.inference_mode():
        model.classifier.weight = torch.nn.Parameter(torch.zeros(2, 128))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (torch.nn.Module.half, r"is torch.float16, but weights must be float32"),
        (change_dropout, r"^dropout is Dropout\(p=0.3.*configuration makes it Dropout\(p=0.1"),
        (exchange, r"^classifier is Sequential\(\), but .* makes it Linear"),
        (change_configuration, r"out_features=2.* makes it .*out_features=5"),
        (add_module, r"^adapter is Linear.* makes it none"),
        (add_parameter, r"scale is no parameter of a BertForSequenceClassification"),
        (share_layer, r"layer.0.*weight and .*layer.1.*weight are one parameter"),
        (hook, r"bert.pooler has hooks"),
        (exchange_forward, r"bert was given another forward"),
        (lose_numbers, r"is a meta tensor"),
    ],
)
def test_what_the_step_would_not_do_is_refused(hub, tmp_path, change, message):
    model = load("tiny-bert")
    change(model)
    with pytest.raises(ValueError, match=message):
        ftcore.Trainer(model, arguments(tmp_path))


def test_what_transformers_leaves_in_a_model_does_not_matter(hub, tmp_path):
    model = load("tiny-bert", attn_implementation="eager")
    model(torch.tensor([[2, 5, 3]]), output_attentions=True, output_hidden_states=True)
    assert any(module._forward_hooks for module in model.modules())
    model(torch.tensor([[2, 5, 3]]), labels=torch.tensor([1])).loss.backward()
    make_trainer("ftcore", model, tmp_path, max_steps=1).train()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_configuration_stays_the_users_own(hub, tmp_path):
    model = load("tiny-bert", num_labels=3)
    trainer = make_trainer("ftcore", model, tmp_path, max_steps=1)
    model.config.id2label = {0: "no", 1: "perhaps", 2: "yes"}
    model.config.label2id = {"no": 0, "perhaps": 1, "yes": 2}
    trainer.save_model(tmp_path / "saved")
    saved = transformers.AutoConfig.from_pretrained(tmp_path / "saved")
    assert saved.id2label == model.config.id2label
    labels = [[1.0, 0.0, 1.0]] * 16
    rows = mrpc("tiny-bert")["train"].select(range(16))
    trainer.train_dataset = rows.select_columns("input_ids").add_column("labels", labels)
    trainer.train()
    assert model.config.problem_type == "multi_label_classification"  # as its own would say


def test_a_model_whose_sizes_changed_needs_another_trainer(hub, tmp_path):
    model = load("tiny-bert")
    trainer = make_trainer("ftcore", model, tmp_path, max_steps=1)
    model.resize_token_embeddings(30600)
    with pytest.raises(ValueError, match="other sizes .*make another Trainer"):
        trainer.train()
    trainer = make_trainer("ftcore", model, tmp_path, max_steps=1)
    trainer.train_dataset = [{"input_ids": [101, 30599, 102], "labels": 1}] * 8
    before = model.get_input_embeddings().weight.detach().clone()
    trainer.train()
    assert (model.get_input_embeddings().weight != before)[30599].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (freeze, r"word_embeddings.weight has requires_grad=False"),
        (hook_gradient, r"classifier.weight has hooks"),
        (checkpoint, r"gradient_checkpointing_disable\(\)"),
        (infer, r"classifier.weight was made in torch.inference_mode\(\)"),
    ],
)
def test_what_matters_to_training_alone_is_refused_there(hub, tmp_path, change, message):
    model = load("tiny-bert")
    change(model)
    trainer = make_trainer("ftcore", model, tmp_path)
    assert trainer.evaluate()["eval_loss"] > 0
    trainer.save_model()
    with pytest.raises(ValueError, match=message):
        trainer.train()


def test_what_was_changed_later_is_refused_then(hub, tmp_path):
    model = load("tiny-bert")
    trainer = make_trainer("ftcore", model, tmp_path)
    change_dropout(model)
    for use in (trainer.train, trainer.evaluate, trainer.save_model):
        with pytest.raises(ValueError, match="configuration makes it Dropout"):
            use()


def test_optimizers_of_torch_are_refused(hub, tmp_path):
    model = load("tiny-bert")
    optimizer = torch.optim.AdamW(model.parameters())
    with pytest.raises(TypeError, match=r"got torch\.optim\.\w+\.AdamW: .*TrainingArguments"):
        ftcore.Trainer(model, arguments(tmp_path), optimizers=(optimizer, None))


def test_other_models_are_refused(tmp_path):
    class Own(transformers.BertForSequenceClassification):
        pass

    config = transformers.BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=1, intermediate_size=32
    )
    for other in (Own(config), transformers.BertModel(config), torch.nn.Linear(2, 2), None):
        with pytest.raises(TypeError, match="BertForSequenceClassification or DistilBert.*got "):
            ftcore.Trainer(other, arguments(tmp_path))
