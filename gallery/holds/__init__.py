"""The page What the library holds: what was measured of an edition, as sentences, plots and pairs. Imports `worker`.

May also import gallery's own modules. Every number on the page is worked out here from the edition's file.
"""
