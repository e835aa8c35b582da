"""Initial values of weights that a checkpoint lacks, as Hugging Face gives them.

Weights of products and embeddings come from N(0, initializer_range^2), biases are 0, a norm's
weights are 1. Hugging Face walks the modules in order and draws only for what is missing, so a new
head is the first draw after the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ftcore.seeding import draw_normal

if TYPE_CHECKING:
    from ftcore.modeling.parameter import Parameter


def initialise(
    parameters: Sequence[Parameter], initializer_range: float, padding_id: int | None
) -> None:
    """Sets the parameters given, which must be in the order of Hugging Face's modules.

    `padding_id` is the row of the word embedding that is 0, or None.
    """
    for parameter in parameters:
        name = parameter.name
        if name.endswith(".bias"):
            values = np.zeros(parameter.shape, np.float32)
        elif len(parameter.shape) == 1:
            values = np.ones(parameter.shape, np.float32)
        else:
            values = draw_normal(parameter.shape, initializer_range)
            if padding_id is not None and name.endswith(".word_embeddings.weight"):
                values[padding_id] = 0
        parameter.write(values)
