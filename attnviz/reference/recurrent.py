"""The recurrent encoder-decoder in which attention began (Bahdanau, Cho and Bengio 2015).

Sections and letters are those of that paper, "Neural Machine Translation by Jointly Learning to Align and Translate".
An encoder reads the source in both directions. Before the decoder takes up the next token of the target, it asks with
its last state which of the encoder's states to look at.
"""

from attnviz.records import Block, Each, watch_nothing
from attnviz.reference.arrays import Array, namespace
from attnviz.reference.layers import linear
from attnviz.reference.parameters import Parameters
from attnviz.reference.scores import compute_weights
from attnviz.reference.trace import NoteArray, note_nothing, note_within
from attnviz.vocabulary import Kind


def gru(given: Array, state: Array, parameters: Parameters) -> Array:
    """Take one step of a gated recurrent unit (Cho et al. 2014, 2.3), and return its next state [..., width].

    `given` [..., 3 · width] is what a linear map has made of the step's input, for the reset gate, the update gate and
    the new state; `parameters` are the linear map of the old state. As in PyTorch the reset gate works on what that map
    makes of the old state (in the paper on the old state itself), and an update gate of 1 keeps the old state.
    """
    xp, width = namespace(state), state.shape[-1]
    kept = linear(state, parameters)  # [..., width] -> [..., 3 · width]
    gates = _sigmoid(given[..., : 2 * width] + kept[..., : 2 * width])
    reset, update = gates[..., :width], gates[..., width:]
    new = xp.tanh(given[..., 2 * width :] + reset * kept[..., 2 * width :])
    return (1 - update) * new + update * state


def _sigmoid(x: Array) -> Array:
    return (1 + namespace(x).tanh(x / 2)) / 2


def run_gru(x: Array, parameters: Parameters, lengths: Array | None = None, *, backward: bool = False) -> Array:
    """Return the state after each token, read in their order or `backward`: [..., tokens, in] -> [..., tokens, width].

    Tokens from the `lengths` [...] on only fill up a batch: at these, the state stays what it was.
    """
    given = linear(x, parameters.within("input"))  # [..., tokens, 3 · width], for all steps at once
    memory, real, xp = parameters.within("state"), _find_real(lengths, x.shape[-2]), namespace(x)
    state = xp.zeros((*x.shape[:-2], given.shape[-1] // 3), dtype=x.dtype, device=x.device)
    states = []
    positions = range(x.shape[-2])
    for position in reversed(positions) if backward else positions:
        after = gru(given[..., position, :], state, memory)
        state = after if real is None else xp.where(real[..., position, None], after, state)
        states.append(state)
    return xp.stack(states[::-1] if backward else states, axis=-2)


def _find_real(lengths: Array | None, tokens: int) -> Array | None:
    """Return True for tokens and False for padding, [..., tokens]; None if there is no padding."""
    if lengths is None:
        return None
    return namespace(lengths).arange(tokens, device=lengths.device) < lengths[..., None]


def encode(ids: Array, parameters: Parameters, lengths: Array | None = None, note: NoteArray = note_nothing) -> Array:
    """Return what the encoder makes of tokens, h_j = [→h_j; ←h_j] (3.2): [..., sources] -> [..., sources, 2 · width].

    Sources of other `lengths` [...] are filled up with ids of any kind.
    """
    x = parameters["embedding.weight"][ids]  # [..., sources, embedding]
    note("embedding.token", x)
    onward = run_gru(x, parameters.within("encoder.forward"), lengths)
    back = run_gru(x, parameters.within("encoder.backward"), lengths, backward=True)
    return namespace(x).concat((onward, back), axis=-1)


def decode(
    ids: Array,
    encoded: Array,
    parameters: Parameters,
    lengths: Array | None = None,
    *,
    watch: Each = watch_nothing,
    note: NoteArray = note_nothing,
) -> Array:
    """Return logits of what comes next: [..., targets] -> [..., targets, vocabulary].

    The decoder reads the target's `ids`, the first of which stands for its start, and looks at what `encode` has made
    of the sources of these `lengths`, [..., sources, 2 · width]. It attends with one head, so the weights watched are
    [..., 1, targets, sources].
    """
    x, decoder = parameters["embedding.weight"][ids], parameters.within("decoder")  # [..., targets, embedding]
    note("embedding.token", x)
    given = linear(x, decoder.within("token"))  # [..., targets, 3 · width], for all steps at once
    keys = linear(encoded, parameters.within("attention.key"))  # U h_j [..., sources, inner], for all steps at once
    real, state, rows = _find_real(lengths, encoded.shape[-2]), start_state(encoded, parameters.within("start")), []
    for position in range(ids.shape[-1]):
        row = attend(state, keys, encoded, parameters.within("attention"), real)
        read = given[..., position, :] + linear(row["mixed"], decoder.within("context"))
        state = gru(read, state, decoder.within("state"))
        rows.append(row | {"state": state})
    found = {name: namespace(x).stack([row[name] for row in rows], axis=-2) for name in rows[0]}
    watch(Block.starting(Kind.CROSS, 0, (0,), 0, found["weights"][..., None, :, :]))
    tell = note_within(note, "attention")
    for name, array in (found | {"key": encoded, "value": encoded, "projected_key": keys}).items():
        tell(name, array)
    return readout(found["state"], x, found["mixed"], parameters)


def start_state(encoded: Array, parameters: Parameters) -> Array:
    """Return s_0 = tanh(W_s ←h_1), of what the encoder knows after reading backwards: [..., width] (A.2.2)."""
    backward = encoded[..., 0, encoded.shape[-1] // 2 :]  # [..., width]
    return namespace(encoded).tanh(linear(backward, parameters))


def attend(state: Array, keys: Array, encoded: Array, parameters: Parameters, real: Array | None) -> dict[str, Array]:
    """Return one row of attention, by the name of each array (3.1 and A.1.2).

    With s_{i-1} [..., width] as the query, e_ij = v·tanh(W s_{i-1} + U h_j) and the weights α_ij are [..., sources],
    c_i = Σ_j α_ij h_j is [..., 2 · width]. The `keys` are U h_j. The scores are those of `scores.additive`, whose keys
    are mapped anew at each call.
    """
    query = linear(state, parameters.within("query"))  # W s_{i-1} [..., inner]
    scores = namespace(state).tanh(query[..., None, :] + keys) @ parameters["v"]  # [..., sources, inner] · [inner]
    weights = compute_weights(scores, real)
    mixed = (weights[..., None, :] @ encoded)[..., 0, :]  # [..., 1, sources], [..., sources, 2 · width]
    return {"query": state, "projected_query": query, "scores": scores, "weights": weights, "mixed": mixed}


def readout(states: Array, x: Array, contexts: Array, parameters: Parameters) -> Array:
    """Return a layer of maxout (Goodfellow et al. 2013) over s_i, y_{i-1} and c_i, then E t_i + b as logits (A.2.2).

    The words written are known by the same embeddings as those read (Press and Wolf 2017), and s_i takes the place of
    the paper's s_{i-1}: states [..., targets, width], x [..., targets, embedding], contexts [..., targets, 2 · width]
    -> [..., targets, vocabulary].
    """
    xp = namespace(states)
    hidden = linear(xp.concat((states, x, contexts), axis=-1), parameters.within("readout"))  # [..., 2 · embedding]
    pairs = xp.reshape(hidden, (*hidden.shape[:-1], hidden.shape[-1] // 2, 2))
    return linear(xp.max(pairs, axis=-1), parameters.within("embedding"))  # [..., embedding] -> [..., vocabulary]
