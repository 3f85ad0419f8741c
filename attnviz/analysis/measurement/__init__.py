"""What attention costs, measured here: time and memory at growing sizes, and the exponents with which they grow."""

from attnviz.analysis.measurement.experiments import measure
from attnviz.analysis.measurement.fitting import exponent

__all__ = ["exponent", "measure"]
