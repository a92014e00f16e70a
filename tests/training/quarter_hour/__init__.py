"""Tests of training.quarter_hour."""
