"""A small model written twice in NumPy: all ten steps run on it in seconds, with no framework."""
