"""Tests of worker/jobs."""
