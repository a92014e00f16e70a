"""The site: addresses, pages, search, API and management commands. Never imports torch."""
