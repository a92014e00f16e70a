"""Tests of gallery/commands."""
