"""Tests of the page What the library holds."""
