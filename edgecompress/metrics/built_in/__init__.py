"""Metrics, a file each, called as the recipe names them: ``make`` gives one (:mod:`edgecompress.metrics.metric`)."""
