"""Time and memory: latency, ratios of it, noise, profiles."""
