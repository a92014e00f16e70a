"""Tests through what stands outside of the library: whole processes, other servers, other people's files."""
