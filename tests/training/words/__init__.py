"""Tests of training/words."""
