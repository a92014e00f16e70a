"""Tests of worker/engine/networks."""
