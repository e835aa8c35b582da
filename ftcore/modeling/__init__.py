"""Classifiers: configuration, weights, and the model object over the C core's train step."""
