"""A convolutional classifier of small digits, in PyTorch and in PaddlePaddle, on the ladder."""
