"""What attention costs, measured here: time and memory at growing sizes, and the exponents with which they grow."""

from attnviz.costs.measurement.experiments import measure
from attnviz.costs.measurement.fitting import exponent

__all__ = ["exponent", "measure"]
