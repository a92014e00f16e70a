"""What is drawn for a page when somebody asks: postcards, and its anatomy; and the lettering that cards share.

Pillow and NumPy; no HTTP, no Redis, no database. May import `worker` alone.
"""
