"""Tests of training/scenes."""
