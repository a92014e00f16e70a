"""The tests, in folders that mirror the packages; what several share is in conftest.py."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder of the checkout."""
