"""Keywords and configurations of transformers' scripts."""

import pytest
import torch
import transformers

import ftcore
from ftcore import AutoModelForSequenceClassification, BertForSequenceClassification

HARMLESS = [
    {"dtype": "auto"},
    {"torch_dtype": "float32"},
    {"torch_dtype": torch.float32},
    {"attn_implementation": "sdpa"},
    {"attn_implementation": "eager"},
    {"device_map": None},
    {"device_map": {"": "cpu"}},
    {"device_map": "cpu", "low_cpu_mem_usage": True, "use_safetensors": True},
    {"return_dict": True, "trust_remote_code": False},
    {"output_attentions": False, "output_hidden_states": None},
]
REFUSED = [
    ("dtype", torch.bfloat16),
    ("torch_dtype", "float16"),
    ("attn_implementation", "flash_attention_2"),
    ("device_map", {"bert": 0, "classifier": 1}),
    ("use_safetensors", False),
    ("return_dict", False),
    ("trust_remote_code", True),
    ("output_attentions", True),
    ("output_hidden_states", True),
]
CLASSES = [AutoModelForSequenceClassification, BertForSequenceClassification]


@pytest.fixture
def folder(small_model, tmp_path):
    small_model.save_pretrained(tmp_path, safe_serialization=True, push_to_hub=False)
    return tmp_path


@pytest.mark.parametrize("model_class", CLASSES)
@pytest.mark.parametrize("keywords", HARMLESS, ids=str)
def test_what_happens_anyway_may_be_asked_for(folder, model_class, keywords):
    model = model_class.from_pretrained(folder, num_labels=2, **keywords)
    assert model.config == BertForSequenceClassification.from_pretrained(folder).config


@pytest.mark.parametrize("model_class", CLASSES)
@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_is_not_supported_is_refused_by_name(folder, model_class, name, value):
    with pytest.raises(ValueError, match=rf"from_pretrained\({name}=.*not supported: "):
        model_class.from_pretrained(folder, **{name: value})


def test_saving_otherwise_is_refused_by_name(small_model, tmp_path):
    for name, value in {"safe_serialization": False, "push_to_hub": True}.items():
        with pytest.raises(ValueError, match=rf"save_pretrained\({name}="):
            small_model.save_pretrained(tmp_path / "new", **{name: value})
    with pytest.raises(TypeError, match="'no_such'"):
        small_model.save_pretrained(tmp_path / "new", no_such=1)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("model_class", CLASSES)
def test_loads_with_a_configuration_of_transformers(folder, model_class):
    config = transformers.AutoConfig.from_pretrained(folder, num_labels=3)
    model = model_class.from_pretrained(folder, config=config, ignore_mismatched_sizes=True)
    assert type(model.config) is ftcore.BertConfig
    assert model(input_ids=[[2, 3]]).logits.shape == (1, 3)
    assert model.config.hidden_size == config.hidden_size


def test_makes_a_model_of_a_configuration_of_transformers():
    config = transformers.DistilBertConfig(
        vocab_size=9, dim=8, n_heads=2, n_layers=1, hidden_dim=8, num_labels=4
    )
    for model in (
        AutoModelForSequenceClassification.from_config(config),
        ftcore.DistilBertForSequenceClassification(config),
    ):
        assert model(input_ids=[[2, 3]]).logits.shape == (1, 4)
    with pytest.raises(TypeError, match="GPT2Config"):
        AutoModelForSequenceClassification.from_config(transformers.GPT2Config())
    with pytest.raises(TypeError, match="needs a BertConfig"):
        BertForSequenceClassification(config)


def test_loads_a_configuration_alone(folder):
    config = ftcore.AutoConfig.from_pretrained(folder, num_labels=5)
    assert type(config) is ftcore.BertConfig and config.num_labels == 5
