"""Tests of worker/editions."""
