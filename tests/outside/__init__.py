"""The library and the outside world: proxies, certificates, units, containers, by the real programs. Imports all."""
