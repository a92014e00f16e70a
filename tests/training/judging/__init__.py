"""The tests of training/judging."""
