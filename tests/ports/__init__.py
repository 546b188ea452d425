"""Ports of other architectures than the case that the ladder was made for."""
