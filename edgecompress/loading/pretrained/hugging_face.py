"""``hf:NAME_OR_FOLDER``: a network of transformers, with what its processor and its tokenizer say of the inputs.

Code that a folder or a repository brings along is never run, and nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgecompress.errors import ModelError
from edgecompress.loading.other_formats import is_of_timm
from edgecompress.loading.pretrained.libraries import CONFIGURATION, is_folder, library, told_as_ours
from edgecompress.loading.pretrained.processors import images_of_processor
from edgecompress.modules.preprocessing import Preprocessing, with_preprocessing

OWN_CODE = "auto_map"
"""Under which key a configuration names code of its own."""
SHOWN = 3
UNNAMED = re.compile(r"LABEL_\d+")


def load_hugging_face(name: str, *, filled: bool = True) -> nn.Module:
    """A network of transformers in float32, of the class that its configuration names.

    Args:
        name: of a repository on the hub, or a folder, for which nothing is fetched.
        filled: read the weights, too; otherwise they are random.

    Raises:
        ModelError: transformers is missing; nothing is found under the name; the configuration asks for code of its
            own, or for quantized weights; weights are missing.
    """
    form = f"hf:{name}"
    transformers = library("transformers", form)
    local = is_folder(form)
    if local and is_of_timm(Path(name) / CONFIGURATION):
        raise ModelError(f"{form!r} was written by timm; give timm:{name}")
    with _quiet(transformers, bars=not local), told_as_ours(form, local=local):
        tables, _ = transformers.PretrainedConfig.get_config_dict(name, local_files_only=local)
        _check(tables, form)
        _require_known(transformers, tables, form)
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False, local_files_only=local)
        kind = _class_of(transformers, config, form)
        module = _filled(kind, name, form, config, local=local) if filled else kind(config)
        if hasattr(config, "use_cache"):
            module.config.use_cache = False  # what the next token would need is no output to compress
        return with_preprocessing(module.eval(), _preprocessing(transformers, name, config, local=local))


def _check(tables: Mapping[str, Any], form: str) -> None:
    """Refuse a configuration that asks for code, or for weights that are no floats."""
    if _asks_for_code(tables):
        raise ModelError(
            f"{form!r} asks for code of its own ({OWN_CODE} in config.json), which is never run; build the network in"
            " a file of yours and give file.py:callable"
        )
    if tables.get("quantization_config"):
        raise ModelError(f"{form!r} holds quantized weights (quantization_config in config.json); give the float model")


def _require_known(transformers: Any, tables: Mapping[str, Any], form: str) -> None:
    kind = tables.get("model_type")
    if kind is not None and kind not in transformers.CONFIG_MAPPING:
        raise ModelError(
            f"{form!r} is of the kind {kind!r}, which transformers {transformers.__version__} does not have;"
            " pip install --upgrade transformers"
        )


def _asks_for_code(value: Any) -> bool:
    """Whether something in a configuration names code to fetch: a class, or kernels of the hub."""
    if isinstance(value, list):
        return any(map(_asks_for_code, value))
    if not isinstance(value, Mapping):
        return False
    kernels = [each for key, each in value.items() if "attn_implementation" in str(key)]
    fetched = any("/" in str(each) for each in kernels)
    return bool(value.get(OWN_CODE)) or fetched or any(map(_asks_for_code, value.values()))


def _class_of(transformers: Any, config: Any, form: str) -> Any:
    """The class that the configuration names; without a name, that of its kind of network."""
    for name in config.architectures or ():
        found = getattr(transformers, name, None)
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            return found
        raise ModelError(f"{form!r} is of the class {name!r}, which transformers does not have; install a newer one")
    kind = transformers.MODEL_MAPPING.get(type(config), None)
    if kind is None:
        raise ModelError(f"{form!r} names no class (architectures in config.json); save it again with save_pretrained")
    return kind


def _filled(kind: Any, name: str, form: str, config: Any, *, local: bool) -> Any:
    module, info = kind.from_pretrained(
        name,
        config=config,
        dtype=torch.float32,
        weights_only=True,
        local_files_only=local,
        ignore_mismatched_sizes=True,  # told below
        output_loading_info=True,
    )
    missing = sorted(info["missing_keys"]) + sorted(str(key[0]) for key in info["mismatched_keys"])
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise ModelError(
            f"{form!r} lacks weights for {', '.join(missing[:SHOWN])}{more}; give a model that was trained for its"
            " task, or --weights"
        )
    return module


def _preprocessing(transformers: Any, name: str, config: Any, *, local: bool) -> Preprocessing:
    processor: dict[str, Any] = {}
    with contextlib.suppress(OSError):  # there need be none
        processor, _ = transformers.ImageProcessingMixin.get_image_processor_dict(name, local_files_only=local)
    classes = class_names(getattr(config, "id2label", None) or {})
    if processor:
        return Preprocessing(images=images_of_processor(processor), classes=classes)
    return Preprocessing(tokenize=_tokenizer(transformers, name, config, local=local), classes=classes)


def class_names(labels: Mapping[Any, Any]) -> tuple[str, ...]:
    """The names of all classes, in their order; of a name that several have, each but the first has its number, too.

    Args:
        labels: ``id2label`` of a configuration: names by number. Without names of their own, transformers calls classes
            ``LABEL_0``.

    >>> class_names({0: "crane", 1: "owl", 2: "crane"}), class_names({0: "LABEL_0", 1: "LABEL_1"})
    (('crane', 'owl', 'crane (2)'), ())
    """
    names = {int(number): str(name) for number, name in labels.items()}
    if sorted(names) != list(range(len(names))) or all(UNNAMED.fullmatch(name) for name in names.values()):
        return ()
    listed = [names[number] for number in range(len(names))]
    taken = tuple(name if listed.index(name) == at else f"{name} ({at})" for at, name in enumerate(listed))
    return taken if len({*taken}) == len(taken) else ()


def _tokenizer(transformers: Any, name: str, config: Any, *, local: bool) -> Any:
    """What makes the inputs from texts; None where no tokenizer lies there."""
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    stored = get_tokenizer_config(name, local_files_only=local)
    if not stored or _asks_for_code(stored):
        return None
    tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False, local_files_only=local)
    most = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", tokenizer.model_max_length))
    return functools.partial(_tokens, tokenizer, most)


def _tokens(tokenizer: Any, most: int, texts: Sequence[str], length: int) -> Mapping[str, Tensor]:
    encoded = tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=min(length, most), return_tensors="pt"
    )
    return dict(encoded)


@contextlib.contextmanager
def _quiet(transformers: Any, *, bars: bool) -> Iterator[None]:
    """Without the library's log lines, and without its bars where nothing is fetched."""
    logging = transformers.utils.logging
    level, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    if not bars:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()
