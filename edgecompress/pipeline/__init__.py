"""The flow: plan, fold, and compress from a network to a bundle."""
