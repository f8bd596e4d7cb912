"""Training and held-out examples, made on the fly from seeds."""
