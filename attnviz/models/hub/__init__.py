"""From the name that a user gives to the folder that holds the model: a local one, or that of a model on the hub."""

from attnviz.models.hub.cache import cached, quiet_environment
from attnviz.models.hub.folder import weight_files
from attnviz.models.hub.names import locate

__all__ = ["cached", "locate", "quiet_environment", "weight_files"]
