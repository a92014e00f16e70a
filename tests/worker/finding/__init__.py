"""Tests of worker.finding."""
