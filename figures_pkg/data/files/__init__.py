"""File formats of scans: read lazily, in blocks that follow what is stored, and written safely."""
