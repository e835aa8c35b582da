"""Small models built twice, as transformers' and as ftcore's core Model, with equal weights; and
batches for them."""

import numpy as np
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

from ftcore import _core

LENGTHS = [17, 3, 9, 1, 12]
ADAMW = (1e-2, 0.9, 0.999, 1e-8, 0.1)
SIZES = dict(vocab=100, hidden=24, layers=3, heads=3, intermediate=40, positions=32)


def torch_model(
    architecture: str, num_labels: int, dropout: float = 0.0, **sizes
) -> torch.nn.Module:
    """A random model of transformers in float64, every entry of it a float32 number."""
    s = {**SIZES, **sizes}
    torch.manual_seed(0)
    common = dict(
        vocab_size=s["vocab"],
        max_position_embeddings=s["positions"],
        num_labels=num_labels,
        initializer_range=0.3,
    )
    if architecture == "bert":
        model = BertForSequenceClassification(
            BertConfig(
                hidden_size=s["hidden"],
                num_hidden_layers=s["layers"],
                num_attention_heads=s["heads"],
                intermediate_size=s["intermediate"],
                hidden_dropout_prob=dropout,
                attention_probs_dropout_prob=dropout,
                **common,
            )
        )
    else:
        model = DistilBertForSequenceClassification(
            DistilBertConfig(
                dim=s["hidden"],
                n_layers=s["layers"],
                n_heads=s["heads"],
                hidden_dim=s["intermediate"],
                dropout=dropout,
                attention_dropout=dropout,
                seq_classif_dropout=dropout,
                **common,
            )
        )
    for p in model.parameters():
        if p.dim() == 1:  # biases and norms are not left at 0 and 1
            p.data += 0.1 * torch.randn_like(p)
    return model.double().eval()


def core_config(config, dropout: float = 0.0) -> dict:
    """The core's configuration for a configuration of transformers."""
    bert = config.model_type == "bert"
    core = dict(
        model_type=config.model_type,
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size if bert else config.hidden_dim,
        max_position_embeddings=config.max_position_embeddings,
        pad_token_id=config.pad_token_id,
        num_labels=config.num_labels,
        layer_norm_eps=config.layer_norm_eps if bert else 1e-12,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        classifier_dropout=dropout,
    )
    if bert:
        core["type_vocab_size"] = config.type_vocab_size
    return core


def core_model(model: torch.nn.Module, backend: str, dropout: float = 0.0, threads: int = 0):
    """The core's Model with the weights of one of transformers."""
    core = _core.Model(core_config(model.config, dropout), backend, threads)
    for i, (name, _, _) in enumerate(core.parameters()):
        core.set_parameter(i, model.get_parameter(name).detach().numpy())
    return core


def make_batch(problem="single_label_classification", seed=0, lengths=LENGTHS, num_labels=3):
    """Arguments of a model of transformers: a padded batch with its mask and labels."""
    rng = np.random.default_rng(seed)
    shape = (len(lengths), max(lengths))
    mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
    if problem == "single_label_classification":
        labels = rng.integers(0, num_labels, shape[0])
    elif problem == "regression":
        labels = rng.standard_normal((shape[0], num_labels)).astype(np.float32)
    else:
        labels = rng.integers(0, 2, (shape[0], num_labels)).astype(np.float32)
    return dict(
        input_ids=rng.integers(1, 100, shape),
        attention_mask=mask,
        token_type_ids=rng.integers(0, 2, shape),
        labels=labels,
    )


def pack(batch) -> _core.Batch:
    """The packed batch of those arguments."""
    return _core.pack_padded(
        batch["input_ids"],
        batch["attention_mask"],
        batch["token_type_ids"],
        None,
        batch["labels"],
    )


def parameters(core) -> dict[str, np.ndarray]:
    """Views of the core's parameters by name."""
    return {name: core.parameter(i) for i, (name, _, _) in enumerate(core.parameters())}


def gradients(core) -> dict[str, np.ndarray]:
    """Views of the core's gradients by name."""
    return {name: core.gradient(i) for i, (name, _, _) in enumerate(core.parameters())}


def is_key_bias(name: str) -> bool:
    """Attention's key biases have no effect on its result: their true gradient is 0."""
    return name.endswith(("self.key.bias", "attention.k_lin.bias"))


def assert_gradients_match(core, model: torch.nn.Module, relative: float, key_bias: float) -> None:
    """Each gradient is within `relative` of its largest entry; key biases within `key_bias`."""
    for name, gradient in gradients(core).items():
        expected = model.get_parameter(name).grad.numpy()
        bound = key_bias if is_key_bias(name) else relative * np.abs(expected).max()
        worst = np.abs(gradient - expected).max()
        assert worst <= bound, f"{name}: off by {worst:.3g}, allowed {bound:.3g}"
