"""Tests of the measurement of what an edition holds, on tiny weights."""
