"""The 17 numbers of a point of the MVP teacher, as in MVP's published code (arXiv 2111.06881).

x, y, z (m), reflectance (0 to 255; -1 for virtual points), 10 class columns and a score (all ones for raw points), flag
(1 raw, 0 painted, -1 virtual), dt (s).
"""

LABEL_COLUMNS = 11  # ten classes and a score
FLAG_COLUMN = 4 + LABEL_COLUMNS
TIME_COLUMN = FLAG_COLUMN + 1
POINT_COLUMNS = TIME_COLUMN + 1
RAW, PAINTED, VIRTUAL = 1.0, 0.0, -1.0  # flags
