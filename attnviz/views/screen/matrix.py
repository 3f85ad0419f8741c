"""The weights of the heads that are shown, a cell for each query and key."""

from attnviz.views.screen.grid import Grid, GridCells, name_all
from attnviz.views.screen.scene import Scene, State


class Matrix(Grid):
    """The pane of one head's weights, or of several heads on top of each other."""

    def cells(self, scene: Scene) -> GridCells:
        """Return the queries and keys, turned as the scene says."""
        down, across = scene.axes

        def choose(row: int | None, column: int | None) -> State:
            query, key = scene.orientation.axes(row, column)
            return scene.choose(query=query, key=key)

        weights = scene.orientation.turn(scene.heads)
        return GridCells(name_all(down), name_all(across), weights, scene.cursor, choose)
