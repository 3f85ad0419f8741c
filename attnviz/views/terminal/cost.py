"""What attention costs, as tables: counted for a model, and measured here."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.costs.counts import BYTES, SCORE, Cost, Counts, Dimensions, LayerType
from attnviz.costs.dimensions import Size
from attnviz.costs.measurement import HOW, Experiment, Point, Series
from attnviz.text import visible
from attnviz.views.names import counted, scaled
from attnviz.views.terminal.cells import plain_table
from attnviz.vocabulary import Kind

_UNITS_OF_TIME = (1.0, "s"), (1e-3, "ms"), (1e-6, "µs")
_TOGETHER = "together"
_NOTHING = "–"
_BELOW_NOISE = "*"

_OPERATIONS = (
    "A multiplication and the addition after it are two operations. Not counted: softmax, biases, norms, the "
    "feed-forward network, logits."
)
_HALF = "Looking back only, a decoder needs about half of the scores, sums and weights."
_WEIGHTS = "Weights need this memory only where they are held at once; online softmax never holds more than a tile."
_CACHE = {
    Kind.DECODER: "Keys and values of all layers, kept while the model writes, so that no token is projected twice.",
    Kind.CROSS: "N tokens of a target look at N of a source, whose keys and values, of all layers, are made once.",
}
_PARALLEL = (
    "Steps wait for each other; the path is how many steps or layers lie between the first token and the last. In "
    "training, attention takes all tokens in one step: none waits for the token before it, as it must in a recurrent "
    "network. When a model writes, each token waits all the same (Vaswani et al. 2017, table 1, where the maps of "
    "attention are left out)."
)
_FITTED = "Exponents are fitted to all sizes; what takes the same at each of them, such as a tile, makes them smaller."


def counted_tables(
    size: Size, tokens: int, costs: Mapping[Kind, Cost], types: Sequence[LayerType]
) -> Iterator[RenderableType]:
    """Yield all that was counted of a model for so many tokens: each kind of attention, then what stands beside it."""
    yield name(size.name, size.positions)
    if size.positions and tokens > size.positions:
        yield f"Counted as if it could read {tokens:,}."
    for kind, cost in costs.items():
        yield ""
        yield heading(kind, cost.dimensions)
        for part in (parameters(cost), operations(cost), memory(kind, cost)):
            yield ""
            yield from part
    if size.held:
        yield ""
        yield beside_counted(list(costs.values()), size.held.matrices, size.held.biases)
    if types:
        yield ""
        yield from beside_others(tokens, types)


def name(model: str | None, positions: int | None) -> Text:
    """Return which model this is, and how many tokens it reads."""
    if model is None:
        return Text("a shape alone", style="bold").append(" · counted as a decoder's", style="not bold")
    reads = f" · reads up to {positions:,} tokens" if positions else ""
    return Text(visible(model), style="bold").append(reads, style="not bold")


def heading(kind: Kind, dimensions: Dimensions) -> Text:
    """Return which attention this is, and how large."""
    size = f"{_layers(dimensions)} × {counted(dimensions.heads, 'head')} of {dimensions.value_width:,}"
    shared = "" if dimensions.key_heads == dimensions.heads else f" · {dimensions.key_heads:,} of keys and values"
    details = f" · {size}{shared} · width {dimensions.width:,}"
    return Text(kind.value, style="bold").append(details, style="not bold")


def parameters(cost: Cost) -> Iterator[RenderableType]:
    """Yield what each map of a head, a layer and all layers learns."""
    dimensions = cost.dimensions
    yield _counts("Parameters", cost.parameters, dimensions, lambda number: f"{number:,}")
    if dimensions.key_heads < dimensions.heads:
        each = dimensions.heads // dimensions.key_heads
        yield _remark(f"Groups of {each:,} heads share their maps of keys and values, counted once for a layer.")
    if dimensions.distinct_layers < dimensions.layers:
        yield _remark(
            f"Layers share their maps: {dimensions.distinct_layers:,} of {dimensions.layers:,} have their own."
        )


def beside_counted(costs: Sequence[Cost], matrices: int, biases: int) -> Text:
    """Return what a model's files hold beside the parameters that were counted."""
    maps = [(name, each) for cost in costs for name, each in cost.parameters.items()]
    numbers = sum(each.model for name, each in maps if name != SCORE)  # which is no matrix
    on_top = f"Biases come on top: {biases:,} in the model." if biases else "These maps have no biases."
    if matrices == numbers:
        return _remark(on_top)
    return _remark(
        f"{on_top} Its files hold {matrices:,} numbers in matrices of attention, where {numbers:,} were counted: it "
        "has other maps than these, or does not attend in every layer."
    )


def operations(cost: Cost) -> Iterator[RenderableType]:
    """Yield what is to be computed for so many tokens."""
    yield _counts(f"Operations, {cost.tokens:,} tokens", cost.operations, cost.dimensions, scaled)
    yield _remark(_OPERATIONS)


def memory(kind: Kind, cost: Cost) -> Iterator[RenderableType]:
    """Yield what the weights take, and the keys and values that are kept."""
    table = _table("Memory", *BYTES)
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


def beside_others(tokens: int, types: Sequence[LayerType]) -> Iterator[RenderableType]:
    """Yield a layer of attention beside others that are as wide."""
    table = _table(f"A layer, N = {tokens:,}", "grows as", "operations", "steps", "path")
    for each in types:
        table.add_row(each.name, each.order, scaled(each.operations), f"{each.steps:,}", f"{each.path:,}")
    yield table
    yield _remark(_PARALLEL)


def how_measured() -> Iterator[Text]:
    """Yield what is measured and fitted, said once above all of it."""
    yield Text("Measured here", style="bold").append(f" · {HOW}", style="not bold")
    yield _remark(_FITTED)


def measured(experiment: Experiment) -> Iterator[RenderableType]:
    """Yield time and peak memory of each method at each size, with the exponents with which they grow."""
    name = f"{experiment.title}, {experiment.fixed}"
    yield Text(f"{name}: time", style="bold")
    yield _measures(experiment, _time, lambda series: series.time_exponent)
    yield ""
    yield Text(f"{name}: peak memory", style="bold")
    yield _measures(experiment, _memory, lambda series: series.memory_exponent)
    noisy = [series for series in experiment.series if any(map(series.is_noise, series.points))]
    if noisy:
        noise = scaled(max(series.noise for series in noisy), "B")
        yield _remark(f"{_BELOW_NOISE} less than {noise} cannot be told from noise, and is left out of the fit.")


def _measures(
    experiment: Experiment,
    shown: Callable[[Series, Point], str],
    exponent: Callable[[Series], float | None],
) -> Table:
    table = _table("", *(series.method for series in experiment.series))
    for row in zip(*(series.points for series in experiment.series), strict=True):
        values = (shown(series, point) for series, point in zip(experiment.series, row, strict=True))
        table.add_row(f"{experiment.variable} = {row[0].size:,}", *values)
    fitted = (exponent(series) for series in experiment.series)
    powers = (_NOTHING if power is None else f"{experiment.variable}^{power:.2f}" for power in fitted)
    table.add_row("grows as", *powers, style="bold")
    return table


def _time(_: Series, point: Point) -> str:
    size, unit = next((u for u in _UNITS_OF_TIME if point.seconds >= u[0]), _UNITS_OF_TIME[-1])
    return f"{scaled(point.seconds / size)} {unit}"


def _memory(series: Series, point: Point) -> str:
    if point.memory is None:
        return _NOTHING
    return scaled(point.memory, "B") + _BELOW_NOISE * series.is_noise(point)


def _counts(title: str, rows: Mapping[str, Counts], dimensions: Dimensions, shown: Callable[[int], str]) -> Table:
    """Return a row a part, then all of them together."""
    table = _table(title, "a head", "a layer", _layers(dimensions))
    for name, each in rows.items():
        table.add_row(name, shown(each.head), shown(each.layer), shown(each.model))
    total = Counts.add_up(rows.values())
    table.add_row(_TOGETHER, shown(total.head), shown(total.layer), shown(total.model), style="bold")
    return table


def _table(title: str, *columns: str) -> Table:
    table = plain_table("bold")
    table.add_column(title)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _remark(words: str) -> Text:
    return Text(words, style="dim")


def _layers(dimensions: Dimensions) -> str:
    return counted(dimensions.layers, "layer")
