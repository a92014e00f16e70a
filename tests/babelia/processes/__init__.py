"""Tests of babelia/processes."""
