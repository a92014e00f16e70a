"""What a visitor meets: whose turn it is, and how the site does by Lighthouse.

turns        how long a page takes fast hands, and behind 500 pages of another visitor
lighthouse   accessibility, speed on a telephone, good practice, as Lighthouse measures them

Imports bench.opening, which starts a library; nothing imports it.
"""
