"""JointBERT in PyTorch: the reference. `side.py` is its face on the ladder."""
