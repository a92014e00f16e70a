"""Tests of training.trainers."""
