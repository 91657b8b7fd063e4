"""Arrays and streams larger than memory, a few blocks at a time: reading ahead, mapping, reducing, statistics.

Knows no documents: it works on what the storage layer has, and documents offer it as methods of theirs.
"""
