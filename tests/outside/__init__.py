"""Tests from outside: real proxies, databases, browsers and other programs around the library."""
