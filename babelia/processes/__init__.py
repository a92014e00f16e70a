"""The processes of one machine: keeping them running, this library's parts, ports, connections, its Valkey server.

May import babelia.settings (through Django), babelia's constants and `worker`; never `gallery`.
"""
