"""How much of what a visitor sends is read: the limits of key texts and picture files. Imports nothing."""

from typing import Final

KEY_TEXT_BYTES: Final = 256 * 1024
"""Bytes of a key's text: 189,436 characters, and room for line breaks."""
PICTURE_FILE_BYTES: Final = 16 * 1024 * 1024
"""Bytes of a picture file, with its key inside."""
