"""Tests of training/trainers."""
