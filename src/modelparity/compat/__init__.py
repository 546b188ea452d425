"""Doors for people who come from other tools."""
