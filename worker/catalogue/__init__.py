"""What an address means, to the last bit: floats, keys, addresses, expansions, the texts of a PNG, key files.

NumPy and Pillow only. Imports worker.errors and nothing of the other rooms.
"""
