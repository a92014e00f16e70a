"""Tests with what surrounds a library: databases, sockets, certificates, other people's variables. Imports anything."""
