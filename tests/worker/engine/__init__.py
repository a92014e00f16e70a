"""Tests of worker/engine."""
