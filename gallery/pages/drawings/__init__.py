"""What is drawn for a page when somebody asks: postcards, its anatomy, cards and the lettering that both share.

Pillow and NumPy; no HTTP, no Redis, no database. May import `worker` alone.
"""
