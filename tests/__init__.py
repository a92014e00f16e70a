"""Tests: one file per module; real parts."""
