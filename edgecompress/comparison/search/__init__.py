"""The search for recipes that no other recipe beats in the metric, the latency and the bytes at once."""
