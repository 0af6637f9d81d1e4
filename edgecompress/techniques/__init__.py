"""The techniques that change a network, each a step of the pipeline: a module in, a smaller or better one out."""
