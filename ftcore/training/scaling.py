"""Loss scaling for float16: gradients times a factor that keeps small ones from becoming 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# Below this it is not the scale that makes gradients infinite.
_LEAST_SCALE = 2.0**-16


class LossScaler:
    """The factor of the loss, as torch.amp.GradScaler finds it with accelerate's settings.

    It starts at 65536, doubles after each 2000 steps in a row whose gradients are finite, and
    halves at each step whose gradients are not; that step changes nothing else.
    """

    def __init__(self) -> None:
        self.scale = 65536.0
        self.growth_factor = 2.0
        self.backoff_factor = 0.5
        self.growth_interval = 2000
        self._good_steps = 0

    def update(self, norm: float) -> bool:
        """Takes note of a step by its gradient's norm; whether the step may change parameters.

        Raises FloatingPointError where the gradients have been infinite however small the scale.
        """
        if math.isfinite(norm):
            self._good_steps += 1
            if self._good_steps == self.growth_interval:
                self._good_steps = 0
                self.scale = min(self.scale * self.growth_factor, 2.0**127)
            return True
        self._good_steps = 0
        self.scale *= self.backoff_factor
        if self.scale < _LEAST_SCALE:
            raise FloatingPointError(
                f"the gradient norm is {norm} even where the loss is scaled by "
                f"{self.scale / self.backoff_factor:g}: the parameters are left as they were; "
                "train with bf16=True or in float32, or lower the learning rate"
            )
        return False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, under the names of torch's GradScaler."""
        return {
            "scale": self.scale,
            "growth_factor": self.growth_factor,
            "backoff_factor": self.backoff_factor,
            "growth_interval": self.growth_interval,
            "_growth_tracker": self._good_steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over a `state_dict`. Raises ValueError, nothing being changed, for a wrong one."""
        numbers = [state[name] for name in ("scale", "growth_factor", "backoff_factor")]
        counts = [state[name] for name in ("growth_interval", "_growth_tracker")]
        if not all(isinstance(x, int | float) and 0 < x < math.inf for x in numbers):
            raise ValueError(f"scale and factors are {numbers}")
        if not all(isinstance(x, int) and x >= 0 for x in counts):
            raise ValueError(f"interval and count of steps are {counts}")
        self.scale, self.growth_factor, self.backoff_factor = (float(x) for x in numbers)
        self.growth_interval, self._good_steps = counts
