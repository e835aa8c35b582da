"""Trainer and what belongs to it, under transformers' names."""
