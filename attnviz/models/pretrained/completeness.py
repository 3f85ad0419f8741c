"""Checks that the files of a model hold what its network reads, and nothing that it should read and does not."""

from collections.abc import Collection, Mapping
from typing import Any

from transformers import PreTrainedModel

from attnviz.errors import Advice, ModelError
from attnviz.models.checkpoint.tensors import Tensor
from attnviz.models.hub.folder import some
from attnviz.models.pretrained.edge import TRUST
from attnviz.models.tensor_names import HARMLESS, find_unread, suggest_name
from attnviz.text import visible


def check_numbers(name: str, stored: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """Raise ModelError if weights are kept as whole numbers, and nothing says what they stand for."""
    whole = [key for key, tensor in stored.items() if key.endswith(".weight") and tensor.dtype[0] in "IU"]
    if whole and not config.get("quantization_config"):
        raise ModelError(
            f"{name} holds quantized weights ({some(whole)}: {visible(stored[whole[0]].dtype)}), and no "
            "quantization_config in its config.json says what they stand for: take the model that they were made from."
        )


def is_complete(
    missing: Collection[str], unexpected: Collection[str], whole: PreTrainedModel, name: str, without_code: bool
) -> bool:
    """Return whether every parameter was there; what only the words to come depend on may be missing.

    `without_code` says that the model comes with code of its own, which did not run.

    Raises:
        ModelError: attention depends on one that was not there.
    """
    missing = {key for key in missing if not HARMLESS.search(key)}
    needed = sorted(key for key in missing if not _is_head(key, whole))
    if needed:
        why = (
            Advice("it comes with Python code that may do without them.", TRUST)
            if without_code
            else "its safetensors file is cut short, or its config.json is another model's."
            + suggest_name(needed[0].removeprefix(f"{whole.base_model_prefix}."), unexpected)
        )
        raise ModelError(f"{name} lacks the weights of {visible(needed[0])} and {len(needed) - 1} others: " + why)
    return not missing


def check_unread(unexpected: Collection[str], whole: PreTrainedModel, name: str) -> tuple[str, ...]:
    """Return what is to be said of tensors in the files that the network does not read.

    Raises:
        ModelError: attention may be meant to depend on one.
    """
    network = whole.base_model
    prefix = f"{whole.base_model_prefix}."
    read = [*(key for key, _ in network.named_parameters()), *(key for key, _ in network.named_buffers())]
    left = find_unread(unexpected, read, prefix)
    if left.within:
        raise ModelError(
            f"{name} holds weights that nothing here reads, {some(left.within)}: what transformers computes without "
            "them is not what the model was trained to compute. Choose another model, or a version of transformers "
            "that reads them."
        )
    return left.notes


def _is_head(key: str, whole: PreTrainedModel) -> bool:
    """Return whether a parameter stands outside the network that computes the attention."""
    if whole.base_model is not whole:
        return not key.startswith(f"{whole.base_model_prefix}.")
    return key.startswith(("lm_head.", "final_logits_bias"))  # T5 and its like have no network within
