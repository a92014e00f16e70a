"""Tests of babelia."""
