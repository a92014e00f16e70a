"""Tests of worker/catalogue."""
