"""Tests of bench.visits."""
