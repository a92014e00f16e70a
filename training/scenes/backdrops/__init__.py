"""What stands behind the subjects, painted from a setting and a random generator. May import
NumPy and Pillow, nothing else.

`painting.paint` is the way in. The colours that belong to a sky (a sunset's, the night's, those of its clouds, its sun
and the sea under it) all stand in `palette`; the shapes of a sky in `sky`, of a ground in `ground`, `vegetation` and
`city`.
"""
