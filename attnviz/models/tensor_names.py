"""Names of tensors in a checkpoint's files: prefixes that training added, and tensors that a network does not read."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from msgspec import Struct

from attnviz.models.hub.folder import some
from attnviz.text import visible

HARMLESS = re.compile(
    r"pooler|rotary_emb|(inv_freq|relative_position_index)$|(^|\.)(attn|attention)\.bias$"
    r"|(^|\.)(position_ids|token_type_ids|masked_bias|version|_float_tensor)$"
)
"""Names of tensors that no attention weight depends on: parts after the layers, computed masks and positions."""

_ATTENDS = re.compile(r"attn|attention|relative|position|rotary|alibi|embed")
_OTHER_SENSES = re.compile(r"vision|visual|image|video|audio|speech")
_NUMBERED = re.compile(r"(.*?\.)(\d+)\.(.*)")

_WHOLE = re.compile(r"model\.(model|transformer|lm_head|(distil|ro|al|de)?bert(a)?|electra)\.")


def _kept_as_model(names: Collection[str]) -> bool:
    """Return whether a whole model, head and all, was saved as the `model` of something, such as a trainer."""
    return all(name.startswith("model.") for name in names) and any(_WHOLE.match(name) for name in names)


_PUT_THERE: dict[str, Callable[[Collection[str]], bool]] = {
    r"\b(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.": lambda names: True,  # torch's own wrappers
    r"^module\.": lambda names: all(name.startswith("module.") for name in names),  # DataParallel and its like
    r"^model\.": _kept_as_model,
}
"""Patterns of what training programs add to names, each with a test whether a match is such an addition."""


def find_wrappings(names: Collection[str]) -> dict[str, str]:
    """Return what to take out of tensor names because training put it there: patterns, each with "" in its place.

    Nothing is taken out where two names would become one.
    """
    found: dict[str, str] = {}
    bare = list(names)
    for pattern, is_so in _PUT_THERE.items():
        if is_so(bare) and any(re.search(pattern, name) for name in bare):
            found[pattern] = ""
            bare = [re.sub(pattern, "", name) for name in bare]
    return found if len(set(bare)) == len(bare) else {}


def unwrap(name: str, patterns: Mapping[str, str]) -> str:
    """Return the name of a tensor without what `find_wrappings` found."""
    for pattern, instead in patterns.items():
        name = re.sub(pattern, instead, name)
    return name


def suggest_name(name: str, names: Iterable[str]) -> str:
    """Return a sentence on a missing tensor, if the files have one of that name with a prefix; "" if not."""
    found = next((other for other in sorted(names) if other.endswith(f".{name}")), None)
    if found is None:
        return ""
    before = visible(found.removesuffix(name))
    return f" There is {visible(found)}: take {before} out of the names of the tensors, if that is all that differs."


class Unread(Struct, frozen=True):
    """Tensors of a checkpoint that a network does not read, though attention may be meant to depend on them.

    They are named like parts `within` the network, belong to `layers` beyond its last, or stand `beside` it and are
    named after attention or embeddings. `held` counts the layers in the files, `run` those that run.
    """

    within: tuple[str, ...]
    layers: tuple[str, ...]
    beside: tuple[str, ...]
    held: int = 0
    run: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what to tell the user about tensors that change nothing that is shown."""
        found = []
        if self.layers:
            found.append(
                f"The files hold {self.held} layers, of which config.json asks for {self.run}: the others are not run."
            )
        if self.beside:
            found.append(f"The files also hold {some(self.beside)}, which the network that runs does not read.")
        return tuple(found)


def find_unread(left: Iterable[str], read: Iterable[str], prefix: str = "") -> Unread:
    """Sort the names of tensors that are `left` when a network has `read` its own, whose names may have a `prefix`.

    Heads are no part of the network. More layers than it has change nothing in those that it has.
    """
    own = {name.removeprefix(prefix) for name in read}
    roots, counts = {name.partition(".")[0] for name in own}, _count_layers(own)
    within, layers, beside = [], [], []
    held: dict[str, int] = {}
    for name in sorted(left):
        bare = name.removeprefix(prefix)
        if HARMLESS.search(name) or _OTHER_SENSES.search(name):
            continue
        if bare == name and bare.partition(".")[0] not in roots:
            beside += [name] if _attends(name) else []
        elif (found := _NUMBERED.fullmatch(bare)) and int(found[2]) >= counts.get(found[1], int(found[2]) + 1):
            layers.append(name)
            held[found[1]] = max(held.get(found[1], 0), int(found[2]) + 1)
        else:
            within.append(name)
    most = max(held, key=lambda stem: held[stem], default="")
    return Unread(tuple(within), tuple(layers), tuple(beside), held.get(most, 0), counts.get(most, 0))


def _count_layers(names: Iterable[str]) -> dict[str, int]:
    """Return how many layers there are, by what the names of all of them begin with; layers are what attends."""
    found = [matched.groups() for name in names if (matched := _NUMBERED.fullmatch(name))]
    counts = {stem: 0 for stem, _, rest in found if _attends(rest)}
    for stem, number, _ in found:
        if stem in counts:
            counts[stem] = max(counts[stem], int(number) + 1)
    return counts


def _attends(name: str) -> bool:
    return bool(_ATTENDS.search(name))
