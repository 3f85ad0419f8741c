"""The scaling of rotary positions for long texts as config.json spells it, old spellings included."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from msgspec import Struct

from attnviz.models.configuration import UnsupportedError, key
from attnviz.reference.rotary import UNSCALED, Dynamic, Linear, Llama3, LongRope, Scaling, Yarn, frequencies

_LONG = 10**9  # tokens; longer than any training


class _Given(Struct, frozen=True):
    """The values of config.json that the formulas need: its table of rotary `parameters`, and numbers beside it.

    `longest` is how many tokens the model reads, `trained` how many its training knew before it was stretched.
    """

    parameters: Mapping[str, Any]
    longest: int
    trained: int
    width: int
    base: float

    @property
    def factor(self) -> float:
        """Return how many times longer texts may be than those of the training."""
        factor = self.parameters.get("factor")
        return float(self.longest / self.trained if factor is None else factor)

    def magnitude(self, otherwise: float) -> float:
        """Return the factor of turned queries and keys if config.json gives one, else the factor `otherwise`."""
        given = self.parameters.get("attention_factor")
        return otherwise if given is None else float(given)


def read_scaling(
    parameters: Mapping[str, Any], config: Mapping[str, Any], longest: int, width: int, base: float
) -> Scaling:
    """Return the scaling of the rotary positions of heads of this width.

    `longest` is how many tokens the model reads, if config.json does not say.

    Raises:
        UnsupportedError: it is of a kind that the reference transformer does not know.
        ValueError: its parameters make no sense.
    """
    longest = key(longest, "max_position_embeddings").of(config)
    original = key(None, "original_max_position_embeddings", nullable=True)
    said = [original.of(where) for where in (config, parameters)]  # in this order, as transformers has it
    trained = said[0] or said[1] or longest
    kind = key("default", "rope_type", "type").of(parameters)
    share = key(1.0, "partial_rotary_factor")
    partial = share.of(parameters if "partial_rotary_factor" in parameters else config)
    if kind not in _SCALINGS or partial != 1.0:
        raise UnsupportedError(f"The reference engine knows no rotary positions of the type {kind!r} over {partial}.")
    made = _SCALINGS[kind](_Given(parameters, longest, trained, width, base))
    _check(made, width, base)
    return made


def _check(scaling: Scaling, width: int, base: float) -> None:
    """Raise ValueError if a scaling gives other than one finite frequency for each, in short and in long texts."""
    plain = frequencies(width, base, like=np.zeros(1))
    with np.errstate(all="ignore"):
        scaled = [scaling(plain, tokens) for tokens in (1, _LONG)]
    if not all(some.shape == plain.shape and np.isfinite(some).all() for some in (*scaled, plain * scaling.magnitude)):
        raise ValueError("the factors of its rotary positions do not fit")


def _make_llama3(given: _Given) -> Scaling:
    low, high = given.parameters["low_freq_factor"], given.parameters["high_freq_factor"]
    return Llama3(given.factor, low, high, given.trained)


def _make_yarn(given: _Given) -> Scaling:
    """Return YaRN, its ramp between the pairs that make `beta_fast` and `beta_slow` turns in the training's length."""
    turns = given.parameters.get("beta_fast") or 32, given.parameters.get("beta_slow") or 1
    first, last = (_find_pair(count, given) for count in turns)
    if given.parameters.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, given.width - 1)
    return Yarn(
        given.factor, first, last if last != first else last + 0.001, given.magnitude(_compute_yarn_magnitude(given))
    )


def _find_pair(turns: float, given: _Given) -> float:
    """Return the pair of dimensions that makes this many turns in the training's length (Peng et al. 2023, 3.2)."""
    return given.width * math.log(given.trained / (turns * 2 * math.pi)) / (2 * math.log(given.base))


def _compute_yarn_magnitude(given: _Given) -> float:
    """Return the factor that sharpens attention for longer texts (Peng et al. 2023, equation 22)."""

    def sharpened(by: float) -> float:
        return 1.0 if given.factor <= 1 else 0.1 * by * math.log(given.factor) + 1

    mine, all_dimensions = given.parameters.get("mscale"), given.parameters.get("mscale_all_dim")
    return sharpened(mine) / sharpened(all_dimensions) if mine and all_dimensions else sharpened(1)


def _make_longrope(given: _Given) -> Scaling:
    longer = given.factor
    magnitude = 1.0 if longer <= 1 else math.sqrt(1 + math.log(longer) / math.log(given.trained))
    short, long = (tuple(map(float, given.parameters[f"{which}_factor"])) for which in ("short", "long"))
    if {len(short), len(long)} != {given.width // 2}:
        raise ValueError(f"{len(short)} and {len(long)} factors do not fit {given.width // 2} frequencies")
    return LongRope(short, long, given.trained, given.magnitude(magnitude))


_SCALINGS: dict[str, Callable[[_Given], Scaling]] = {
    "default": lambda given: UNSCALED,
    "linear": lambda given: Linear(given.factor),
    "dynamic": lambda given: Dynamic(given.factor, given.longest),
    "llama3": _make_llama3,
    "yarn": _make_yarn,
    "longrope": _make_longrope,
}
