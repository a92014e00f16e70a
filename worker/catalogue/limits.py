"""How much of what a visitor sends is read: the limits of key texts and picture files. Imports nothing."""

from typing import Final

KEY_TEXT_BYTES: Final = 256 * 1024
"""Bytes of a key's text: 189,436 characters, and room for line breaks."""
PICTURE_FILE_BYTES: Final = 16 * 1024 * 1024
"""Bytes of a picture file, with its key inside."""
PICTURE_PIXELS: Final = 50_000_000
"""Pixels of a picture to be searched for, read from its header before any is unpacked: a telephone's largest."""
PICTURE_SIDE: Final = 65_500
"""Pixels of its longer side: what JPEG can hold."""
PICTURE_MEMORY: Final = 640 * 1024 * 1024
"""Bytes that reading one picture takes at most, beside its file: two copies of four bytes a pixel, and what decoders
take (a progressive JPEG's coefficients: six bytes a pixel beside its three)."""
