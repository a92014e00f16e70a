"""What an edition is: its edition.toml, its weights and what must hold of them, fetching them from the hub.

Reads TOML, JSON and safetensors headers; never torch. May import worker.catalogue.
"""
