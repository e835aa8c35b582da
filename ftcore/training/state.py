"""Where a training run stands, and what its callbacks ask of it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from typing import Any


@dataclasses.dataclass
class TrainerState:
    """The run's progress, as it is saved in trainer_state.json; a step is an optimizer step."""

    epoch: float = 0
    global_step: int = 0
    max_steps: int = 0
    logging_steps: float = 500
    eval_steps: float = 500
    save_steps: float = 500
    train_batch_size: int | None = None
    num_train_epochs: int = 0
    num_input_tokens_seen: int = 0
    total_flos: float = 0
    log_history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    best_metric: float | None = None
    best_global_step: int | None = None
    best_model_checkpoint: str | None = None
    is_local_process_zero: bool = True
    is_world_process_zero: bool = True
    is_hyper_param_search: bool = False
    trial_name: str | None = None
    trial_params: dict[str, Any] | None = None
    stateful_callbacks: dict[str, Any] = dataclasses.field(default_factory=dict)

    def to_json_string(self) -> str:
        """trainer_state.json's text."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def load_from_json(cls, json_path: str | os.PathLike[str]) -> TrainerState:
        """Reads a trainer_state.json. Raises ValueError where it is damaged."""
        with open(json_path, encoding="utf-8") as file:
            text = file.read()
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{os.fspath(json_path)} is damaged: {error}") from error

    def compute_steps(self, args: Any, max_steps: int) -> None:
        """Takes over how often to log, evaluate and save; below 1 it is a share of the run."""
        for kind in ("logging", "eval", "save"):
            steps = getattr(args, f"{kind}_steps")
            if steps is not None:
                setattr(self, f"{kind}_steps", math.ceil(max_steps * steps) if steps < 1 else steps)


@dataclasses.dataclass
class TrainerControl:
    """Switches that callbacks set, and that the loop acts upon."""

    should_training_stop: bool = False
    should_epoch_stop: bool = False
    should_save: bool = False
    should_evaluate: bool = False
    should_log: bool = False

    def state(self) -> dict[str, Any]:
        """As it is saved in trainer_state.json."""
        return {"args": dataclasses.asdict(self), "attributes": {}}
