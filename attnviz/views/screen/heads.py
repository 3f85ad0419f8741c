"""The chosen query in all heads: a row for each head, a column for each key."""

from msgspec.structs import replace

from attnviz.views.names import head_name
from attnviz.views.screen.grid import Grid, GridCells, Name, name_all
from attnviz.views.screen.scene import Scene, State


class AllHeads(Grid):
    """The pane of what one query looks at in every head."""

    def cells(self, scene: Scene) -> GridCells:
        """Return the heads, layer by layer, and the keys."""
        attention, state = scene.attention, scene.state
        layers, heads, _, keys = attention.shape
        names = [Name(head_name(layer, head)) for layer in attention.layers for head in attention.heads]

        def choose(row: int | None, column: int | None) -> State:
            layer, head = (state.layer, state.head) if row is None else divmod(row, heads)
            return replace(scene.choose(key=column), layer=layer, head=head)

        weights = attention.weights[:, :, scene.query].reshape(1, layers * heads, keys)
        return GridCells(
            names, name_all(attention.key_tokens), weights, (state.layer * heads + state.head, scene.key), choose
        )
