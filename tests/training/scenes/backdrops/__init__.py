"""Tests of training.scenes.backdrops."""
