"""Tests with other people's programs in between: what they do to our files, requests and processes."""
