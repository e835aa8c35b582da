"""AdamW and its schedules: torch's and transformers' names, the core's arithmetic."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftcore import _core
from ftcore.modeling.parameter import Parameter
from ftcore.modeling.sequence_classification import SequenceClassifier
from ftcore.scalars import plain_number

Groups = list[tuple[float, float, float, float, float]]
_OPTIONS = ("lr", "betas", "eps", "weight_decay")
# torch's other options: what each must be, for the step is one fused operation.
_UNSUPPORTED = {
    "amsgrad": False,
    "maximize": False,
    "foreach": None,
    "capturable": False,
    "differentiable": False,
}


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW.

    params: `model.parameters()`, or dicts with "params" and options of their own; all of one
    model. The moments live in the model's memory, so a parameter belongs to the AdamW made last.
    """

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        fused: bool | None = None,
        **others: Any,
    ) -> None:
        del fused  # It is, whatever is asked for.
        for name, value in {"amsgrad": amsgrad, **others}.items():
            if name not in _UNSUPPORTED:
                raise TypeError(f"AdamW got an unexpected keyword {name!r}")
            if value not in (None, _UNSUPPORTED[name]):
                raise ValueError(f"AdamW's {name}={value!r} is not supported: leave it out")
        self.defaults: dict[str, Any] = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
        }
        self.param_groups: list[dict[str, Any]] = []
        self._model: SequenceClassifier | None = None
        self._steps = 0
        entries: list[Any] = list(params)
        if not entries:
            raise ValueError("AdamW got an empty list of parameters")
        if not isinstance(entries[0], dict):
            entries = [{"params": entries}]
        for entry in entries:
            self.add_param_group(entry)
        self._take_moments()

    @property
    def model(self) -> SequenceClassifier:
        """The model whose parameters these are."""
        assert self._model is not None
        return self._model

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds {"params": ..., options}. Raises ValueError for parameters that are already here."""
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError('a parameter group must be a dict with the key "params"')
        group = {**self.defaults, **param_group}
        parameters = group["params"]
        group["params"] = [parameters] if isinstance(parameters, Parameter) else list(parameters)
        _check_options(group)
        taken = {id(p) for other in self.param_groups for p in other["params"]}
        for parameter in group["params"]:
            if not isinstance(parameter, Parameter):
                raise TypeError(
                    "AdamW optimises parameters of ftcore's models (model.parameters()), got "
                    f"{type(parameter).__module__}.{type(parameter).__name__}: for torch's, use "
                    "torch.optim.AdamW"
                )
            if self._model is None:
                self._model = parameter._model
            elif self._model is not parameter._model:
                raise ValueError("all parameters of an AdamW must be of one model")
            if id(parameter) in taken:
                raise ValueError(f"{parameter.name} is in two parameter groups")
            taken.add(id(parameter))
        if self._steps:
            raise ValueError("a parameter group cannot be added after the first step")
        self.param_groups.append(group)

    def _take_moments(self) -> None:
        """Starts from moments of zero, whatever an earlier AdamW left in the model."""
        model = self.model
        if model.moments_used:
            for group in self.param_groups:
                for parameter in group["params"]:
                    model.core.zero_moments(parameter._index)
        self._own()

    def plan(self) -> tuple[Groups, NDArray[np.int32]]:
        """What the core's update takes: each group's numbers, and each parameter's group or -1.

        Raises RuntimeError where a later AdamW has taken one of the parameters.
        """
        model = self.model
        group_of = np.full(len(model.core.parameters()), -1, np.int32)
        groups: Groups = []
        for number, group in enumerate(self.param_groups):
            beta1, beta2 = group["betas"]
            groups.append((group["lr"], beta1, beta2, group["eps"], group["weight_decay"]))
            for parameter in group["params"]:
                owner = model.moment_owners.get(parameter._index)
                if owner is None or owner() is not self:
                    raise RuntimeError(
                        f"another AdamW has been made over {parameter.name} since: its moments "
                        "are that one's"
                    )
                group_of[parameter._index] = number
        return groups, group_of

    @property
    def steps(self) -> int:
        """How many steps have been taken."""
        return self._steps

    def took_step(self) -> None:
        """Counts a step that the core has taken with `plan`'s numbers."""
        self._steps += 1
        self.model.moments_used = True

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters by their gradients; does nothing where there are none."""
        loss = None if closure is None else closure()
        if self.model.has_gradients:
            groups, group_of = self.plan()
            self.model.core.update(groups, group_of, self._steps + 1)
            self.took_step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients of the model; see `SequenceClassifier.zero_grad`."""
        self.model.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """{"state": {"step", "exp_avg", "exp_avg_sq" by name (copies)}, "param_groups": [...]}."""
        names = [p for group in self.param_groups for p in group["params"]]
        moments = {p.name: self.model.core.moments(p._index) for p in names if self._steps}
        return {
            "state": {
                "step": self._steps,
                "exp_avg": {name: first.copy() for name, (first, _) in moments.items()},
                "exp_avg_sq": {name: second.copy() for name, (_, second) in moments.items()},
            },
            "param_groups": self.group_options(),
        }

    def group_options(self) -> list[dict[str, Any]]:
        """The parameter groups with names for parameters."""
        return [
            {**group, "params": [p.name for p in group["params"]]} for group in self.param_groups
        ]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a `state_dict` of an AdamW with the same groups of parameters."""
        state = state_dict["state"]
        self.load_group_options(state_dict["param_groups"], state["step"])
        for group in self.param_groups:
            for parameter in group["params"]:
                moments = (
                    np.broadcast_to(state[kind].get(parameter.name, 0), parameter.shape)
                    for kind in ("exp_avg", "exp_avg_sq")
                )
                self.model.core.set_moments(parameter._index, *moments)

    def load_group_options(self, groups: list[dict[str, Any]], steps: int) -> None:
        """Takes over options and the count of steps; the caller sets the moments."""
        if [g["params"] for g in groups] != [g["params"] for g in self.group_options()]:
            raise ValueError("the state is of an AdamW with other groups of parameters")
        for group, saved in zip(self.param_groups, groups, strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})
            group["betas"] = tuple(group["betas"])
            _check_options(group)
        self._steps = steps
        self.model.moments_used = True
        self._own()

    def _own(self) -> None:
        owner = weakref.ref(self)
        for group in self.param_groups:
            for parameter in group["params"]:
                self.model.moment_owners[parameter._index] = owner


def clip_grad_norm_(parameters: Parameter | Iterable[Parameter], max_norm: float) -> float:
    """Scales a model's gradients so that their norm is at most max_norm; returns the norm before.

    Raises ValueError unless all parameters of the model are given: the norm is of all of them.
    """
    entries = [parameters] if isinstance(parameters, Parameter) else list(parameters)
    if not entries:
        return 0.0
    model = entries[0]._model
    if {id(p) for p in entries} != {id(p) for p in model.parameters()}:
        raise ValueError("clip_grad_norm_ clips all gradients of a model: pass model.parameters()")
    if not model.has_gradients:
        return 0.0
    norm = model.core.gradient_norm()
    factor = max_norm / (norm + 1e-6)
    if factor < 1:
        model.core.scale_gradients(factor)
    return norm


class LRScheduler:
    """Sets the learning rates of an AdamW, as torch's LambdaLR does: at once, then at each step."""

    def __init__(
        self,
        optimizer: AdamW,
        schedule: str,
        num_warmup_steps: int = 0,
        num_training_steps: int = 0,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(optimizer, AdamW):
            raise TypeError(
                f"the schedule needs an ftcore AdamW, got {type(optimizer).__name__}: for torch's "
                "optimizers use transformers.get_scheduler"
            )
        self.optimizer = optimizer
        self.schedule = schedule
        self.num_warmup_steps = num_warmup_steps
        self.num_training_steps = num_training_steps
        self.last_epoch = last_epoch
        for group in optimizer.param_groups:
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError("last_epoch was given, but a parameter group has no initial_lr")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.step()

    def step(self) -> None:
        """Goes on to the next learning rate."""
        self.last_epoch += 1
        self._set()

    def _set(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = _core.learning_rate(
                self.schedule, base, self.last_epoch, self.num_warmup_steps, self.num_training_steps
            )

    def get_last_lr(self) -> list[float]:
        """The learning rate of each parameter group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """{"last_epoch", "base_lrs"}: where the schedule stands, not, as in torch, its shape."""
        return {"last_epoch": self.last_epoch, "base_lrs": self.base_lrs}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a `state_dict`, and sets the learning rates by it."""
        if len(state_dict["base_lrs"]) != len(self.base_lrs):
            raise ValueError("the state is of a schedule over other parameter groups")
        self.last_epoch = state_dict["last_epoch"]
        self.base_lrs = list(state_dict["base_lrs"])
        self._set()


def get_constant_schedule(optimizer: AdamW, last_epoch: int = -1) -> LRScheduler:
    """The optimizer's learning rate, unchanged."""
    return LRScheduler(optimizer, "constant", last_epoch=last_epoch)


def get_constant_schedule_with_warmup(
    optimizer: AdamW, num_warmup_steps: int, last_epoch: int = -1
) -> LRScheduler:
    """Linearly up from 0 for num_warmup_steps, then constant."""
    return LRScheduler(optimizer, "constant_with_warmup", num_warmup_steps, last_epoch=last_epoch)


def get_linear_schedule_with_warmup(
    optimizer: AdamW, num_warmup_steps: int, num_training_steps: int, last_epoch: int = -1
) -> LRScheduler:
    """Linearly up from 0 for num_warmup_steps, then linearly down to 0 at num_training_steps."""
    return LRScheduler(optimizer, "linear", num_warmup_steps, num_training_steps, last_epoch)


def get_cosine_schedule_with_warmup(
    optimizer: AdamW,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LRScheduler:
    """Linearly up from 0 for num_warmup_steps, then down half a cosine to 0."""
    if num_cycles != 0.5:
        raise ValueError(f"num_cycles={num_cycles} is not supported: only 0.5 (half a wave) is")
    return LRScheduler(optimizer, "cosine", num_warmup_steps, num_training_steps, last_epoch)


_SCHEDULES: dict[str, Callable[..., LRScheduler]] = {
    "linear": get_linear_schedule_with_warmup,
    "cosine": get_cosine_schedule_with_warmup,
    "constant": get_constant_schedule,
    "constant_with_warmup": get_constant_schedule_with_warmup,
}
SCHEDULE_NAMES = tuple(_SCHEDULES)


def get_scheduler(
    name: str,
    optimizer: AdamW,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    scheduler_specific_kwargs: Mapping[str, Any] | None = None,
) -> LRScheduler:
    """A schedule by name: "linear", "cosine", "constant" or "constant_with_warmup".

    Raises ValueError for another name, or where the schedule needs a number that is None.
    """
    name = str(getattr(name, "value", name))
    if name not in _SCHEDULES:
        raise ValueError(
            f"schedule {name!r} is not supported: supported are {', '.join(SCHEDULE_NAMES)}"
        )
    if name == "constant":
        return get_constant_schedule(optimizer)
    if num_warmup_steps is None:
        raise ValueError(f"{name} needs num_warmup_steps")
    options = dict(scheduler_specific_kwargs or {})
    if name == "constant_with_warmup":
        return get_constant_schedule_with_warmup(optimizer, num_warmup_steps, **options)
    if num_training_steps is None:
        raise ValueError(f"{name} needs num_training_steps")
    return _SCHEDULES[name](optimizer, num_warmup_steps, num_training_steps, **options)


def _check_options(group: dict[str, Any]) -> None:
    for name in ("lr", "eps", "weight_decay"):
        value = group[name] = plain_number(group[name])
        if not isinstance(value, int | float) or not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be a number of at least 0, got {value!r}")
    betas = group["betas"] = tuple(plain_number(beta) for beta in group["betas"])
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas must be two numbers of at least 0 and below 1, got {betas!r}")
    unknown = set(group) - {*_OPTIONS, "params", "initial_lr"}
    if unknown:
        raise ValueError(f"a parameter group has unknown options: {', '.join(sorted(unknown))}")
