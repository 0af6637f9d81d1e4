"""From a float graph to an INT8 graph: placement, weights, Q/DQ, recovery, fallback."""
