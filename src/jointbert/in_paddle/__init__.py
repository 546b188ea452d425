"""JointBERT's port in PaddlePaddle, a twin of `jointbert.in_torch`."""
