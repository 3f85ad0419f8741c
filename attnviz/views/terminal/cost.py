"""The cost of attention as tables: counted for a model, and measured here."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.costs.counts import BYTES, KERNEL, SCORE, Cost, Counts, Dimensions, LayerType
from attnviz.costs.dimensions import Size
from attnviz.costs.measurement import HOW, Experiment, Point, Series, find_noise
from attnviz.text import visible
from attnviz.views.names import counted, scaled
from attnviz.views.terminal.cells import plain_table
from attnviz.vocabulary import Kind

_UNITS_OF_TIME = (1.0, "s"), (1e-3, "ms"), (1e-6, "µs")
_TOGETHER = "together"
_NOTHING = "–"
_BELOW_NOISE = "*"

_COUNTED = "Counted from the shape, not measured:"
_OPERATIONS = (
    "Scores and the weighted sum grow as N², because every query meets every key; {} grow as N. A "
    "multiplication and the addition after it count as two operations. {} Softmax, biases, norms, the "
    "feed-forward network and logits (the scores of the next token) are not counted."
)
_PROJECTIONS = "projections (W_Q, W_K, W_V and W_O)"
_DIVIDED = "Scores include N² divisions by √d_k for each head."
_ADDED = "For each pair, scores are a sum, a tanh and a product with a learned vector, of d numbers each."
_HALF = "A decoder only looks back, so about half of the scores, sums and weights would do; all N² are counted."
_WEIGHTS = (
    "Weights take this memory only if all are held at once. Online softmax (FlashAttention) holds no more than a tile "
    "of them; its time stays N². A tile is the weights of some queries for some keys."
)
_SPLIT = (
    "Heads share the width: with more of them, parameters stay the same and operations nearly so, but each head has "
    "fewer numbers for a key, and N×N weights of its own."
)
_CACHE = {
    Kind.DECODER: "The key/value cache (KV cache) keeps keys and values of all layers while the model writes, so that "
    "none is computed twice.",
    Kind.CROSS: "Here N target tokens look at N source tokens, whose keys and values are computed once and kept.",
}
_PARALLEL = (
    "Steps wait for each other, so fewer steps are faster. The path is the number of steps or layers between the first "
    "token and the last. In training, attention reads all tokens in one step, while a recurrent network reads one "
    "after the other. When a model writes, it also makes one token after the other (Vaswani et al. 2017, table 1, "
    "where the projections of attention are left out)."
)
_OTHER_LAYERS = (
    "A recurrent layer makes a vector from the token and the vector before it; a dilated convolution makes one from "
    "{} tokens, which lie further apart in each further layer. Orders of growth leave out constant factors, which "
    "operations have."
)
_EXPECTED = (
    "Expected: time grows as N², because every query is compared with every key. Memory grows as N² where all N×N "
    "numbers are held (naive attention, and scores alone), and as N where they are not (online softmax, and PyTorch's "
    "fused kernel, which is FlashAttention). To hold less is also to move less to and from memory, so both may be "
    "faster, but their time stays N². With the width d of a head, time grows as d where d is large, and less where "
    "other work for each pair, such as softmax, takes longer. Memory grows with d only for additive scores, which hold "
    "d numbers for each pair: about d times the memory of dot products at any length. They also take more time. "
    "What products save grows as N²."
)
_SHORTER = (
    "Scores alone are measured with fewer tokens, because additive ones hold N×N×d numbers: with up to 1/8 as many as "
    "attention, and where d grows with 1/16 as many."
)
_FITTED = (
    "Exponents are fitted to all sizes. At small sizes fixed costs, such as that of one tile, and the processor's "
    "cache bend the curve, so that exponents differ from what is expected: read the last rows."
)


def tabulate_counts(
    size: Size, tokens: int, costs: Mapping[Kind, Cost], types: Sequence[LayerType]
) -> Iterator[RenderableType]:
    """Yield the tables of a model for a number of tokens: each kind of attention, then comparisons."""
    yield name_model(size.name, size.positions)
    if size.positions and tokens > size.positions:
        yield f"Counted for {tokens:,} tokens, although the model reads at most {size.positions:,}."
    yield _remark(_COUNTED)
    for kind, cost in costs.items():
        yield ""
        yield title_kind(kind, cost.dimensions)
        for part in (tabulate_parameters(cost), tabulate_operations(cost), tabulate_memory(kind, cost)):
            yield ""
            yield from part
    if size.held:
        yield ""
        yield remark_on_files(list(costs.values()), size.held.matrices, size.held.biases)
    if types:
        yield ""
        yield from compare_layers(tokens, types)


def name_model(model: str | None, positions: int | None) -> Text:
    """Return the name of a model and the number of tokens that it reads, as a line."""
    if model is None:
        return Text("no model, a shape", style="bold").append(" · counted as a decoder", style="not bold")
    reads = f" · reads up to {positions:,} tokens" if positions else ""
    return Text(visible(model), style="bold").append(reads, style="not bold")


def title_kind(kind: Kind, dimensions: Dimensions) -> Text:
    """Return the kind of attention and its size, as a line."""
    size = f"{_layers(dimensions)} × {counted(dimensions.heads, 'head')} of {dimensions.value_width:,}"
    shared = "" if dimensions.key_heads == dimensions.heads else f" · {dimensions.key_heads:,} of keys and values"
    details = f" · {size}{shared} · width {dimensions.width:,}"
    return Text(kind.value, style="bold").append(details, style="not bold")


def tabulate_parameters(cost: Cost) -> Iterator[RenderableType]:
    """Yield the table of learned parameters of a head, a layer and all layers."""
    dimensions = cost.dimensions
    yield _tabulate_counts("Parameters", cost.parameters, dimensions, lambda number: f"{number:,}")
    if dimensions.heads > 1 and dimensions.heads * dimensions.value_width == dimensions.width:
        yield _remark(_SPLIT)
    if dimensions.key_heads < dimensions.heads:
        yield _remark(
            f"{_name_sharing(dimensions)} The maps of keys and values are counted once for each group of heads."
        )
    if dimensions.distinct_layers < dimensions.layers:
        yield _remark(
            f"Layers share their maps: {dimensions.distinct_layers:,} of {dimensions.layers:,} have their own."
        )


def _name_sharing(dimensions: Dimensions) -> str:
    """Return how heads share keys and values, by the field's name for it, and what that does to the cache."""
    each = dimensions.heads // dimensions.key_heads
    who = f"Groups of {each:,} heads share one key and one value of each token (grouped-query attention, GQA)"
    if dimensions.key_heads == 1:
        who = f"All {each:,} heads share one key and one value of each token (multi-query attention, MQA)"
    return f"{who}, so a key/value cache (KV cache) is {each:,} times smaller."


def remark_on_files(costs: Sequence[Cost], matrices: int, biases: int) -> Text:
    """Return a remark on what the files of a model hold beside the parameters that were counted."""
    maps = [(name, each) for cost in costs for name, each in cost.parameters.items()]
    numbers = sum(each.model for name, each in maps if name != SCORE)  # which is no matrix
    on_top = f"Biases come on top: {biases:,} numbers in the model." if biases else "These maps have no biases."
    if matrices == numbers:
        return _remark(on_top)
    return _remark(
        f"{on_top} Its files hold {matrices:,} numbers in matrices of attention, but {numbers:,} were counted: the "
        "model has other maps than these, or layers without attention."
    )


def tabulate_operations(cost: Cost) -> Iterator[RenderableType]:
    """Yield the table of operations for a number of tokens."""
    yield _tabulate_counts(f"Operations, {cost.tokens:,} tokens", cost.operations, cost.dimensions, scaled)
    dots = SCORE not in cost.dimensions.maps
    maps = _PROJECTIONS if dots else "projections (W_q and W_k)"
    yield _remark(_OPERATIONS.format(maps, _DIVIDED if dots else _ADDED))


def tabulate_memory(kind: Kind, cost: Cost) -> Iterator[RenderableType]:
    """Yield the table of the memory of the weights, and of the keys and values that are kept."""
    table = _make_table("Memory", *BYTES)
    sizes = {
        f"N×N weights of a head, N = {cost.tokens:,}": cost.weights.head,
        "of a layer": cost.weights.layer,
        f"of {_layers(cost.dimensions)}": cost.weights.model,
    }
    if kind in _CACHE:
        sizes |= {"key/value cache, a token": cost.cache, f"{cost.tokens:,} tokens": cost.cache * cost.tokens}
    for name, numbers in sizes.items():
        table.add_row(name, *(scaled(numbers * size, "B") for size in BYTES.values()))
    yield table
    remarks = (_WEIGHTS, *([_HALF] if kind is Kind.DECODER else []), *([_CACHE[kind]] if kind in _CACHE else []))
    yield _remark(" ".join(remarks))


def compare_layers(tokens: int, types: Sequence[LayerType]) -> Iterator[RenderableType]:
    """Yield a table that compares a layer of attention with other layers of the same width."""
    table = _make_table(f"A layer, N = {tokens:,}", "grows as", "operations", "steps", "path")
    for each in types:
        table.add_row(each.name, each.order, scaled(each.operations), f"{each.steps:,}", f"{each.path:,}")
    yield table
    yield _remark(_PARALLEL)
    yield _remark(_OTHER_LAYERS.format(KERNEL))


def describe_measuring() -> Iterator[Text]:
    """Yield what is measured, what is expected, and how exponents are fitted."""
    yield Text("Measured here", style="bold").append(f" · {HOW}", style="not bold")
    yield _remark("On random vectors, not on this model.")
    yield _remark(_EXPECTED)
    yield _remark(_SHORTER)
    yield _remark(_FITTED)


def tabulate_experiment(experiment: Experiment) -> Iterator[RenderableType]:
    """Yield the tables of time and peak memory: each method at each size, and the exponents of growth."""
    name = f"{experiment.title}, {experiment.fixed}"
    yield Text(f"{name}: time", style="bold")
    yield _tabulate_measures(experiment, _write_time, lambda series: series.time_exponent)
    yield ""
    yield Text(f"{name}: peak memory", style="bold")
    yield _tabulate_measures(experiment, _write_memory, lambda series: series.memory_exponent)
    if noise := find_noise([experiment]):
        yield _remark(
            f"{_BELOW_NOISE} below {scaled(noise, 'B')}, memory cannot be told from noise and is left out of the fit."
        )


def _tabulate_measures(
    experiment: Experiment,
    shown: Callable[[Series, Point], str],
    exponent: Callable[[Series], float | None],
) -> Table:
    table = _make_table("", *(series.method for series in experiment.series))
    for row in zip(*(series.points for series in experiment.series), strict=True):
        values = (shown(series, point) for series, point in zip(experiment.series, row, strict=True))
        table.add_row(f"{experiment.variable} = {row[0].size:,}", *values)
    fitted = (exponent(series) for series in experiment.series)
    powers = (_NOTHING if power is None else f"{experiment.variable}^{power:.2f}" for power in fitted)
    table.add_row("grows as", *powers, style="bold")
    return table


def _write_time(_: Series, point: Point) -> str:
    size, unit = next((u for u in _UNITS_OF_TIME if point.seconds >= u[0]), _UNITS_OF_TIME[-1])
    return f"{scaled(point.seconds / size)} {unit}"


def _write_memory(series: Series, point: Point) -> str:
    if point.memory is None:
        return _NOTHING
    return scaled(point.memory, "B") + _BELOW_NOISE * series.is_noise(point)


def _tabulate_counts(
    title: str, rows: Mapping[str, Counts], dimensions: Dimensions, shown: Callable[[int], str]
) -> Table:
    """Return a table with a row for each part, and a last row for their sum."""
    table = _make_table(title, "a head", "a layer", _layers(dimensions))
    for name, each in rows.items():
        table.add_row(name, shown(each.head), shown(each.layer), shown(each.model))
    total = Counts.add_up(rows.values())
    table.add_row(_TOGETHER, shown(total.head), shown(total.layer), shown(total.model), style="bold")
    return table


def _make_table(title: str, *columns: str) -> Table:
    table = plain_table("bold")
    table.add_column(title)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _remark(words: str) -> Text:
    return Text(words, style="dim")


def _layers(dimensions: Dimensions) -> str:
    return counted(dimensions.layers, "layer")


if __name__ == "__main__":
    from rich.console import Console

    from attnviz.costs.counts import count, list_layer_types, size_multi_head
    from attnviz.views.example import example_experiment

    cost = count(size_multi_head(768, 12, 12), 1024)
    size = Size(name=None, stacks={Kind.DECODER: cost.dimensions}, positions=None, held=None)
    screen = Console(highlight=False)
    tables = tabulate_counts(size, 1024, {Kind.DECODER: cost}, list_layer_types(cost))
    for part in (*tables, "", *tabulate_experiment(example_experiment())):
        screen.print(part)
