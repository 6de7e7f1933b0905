"""The clock of the daemons under test (tests/clock.c)."""

import mmap
import struct
import time


class Clock:
    """A file with the seconds that the daemons are ahead of real time."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.write(bytes(mmap.PAGESIZE))
        self._file = open(path, "r+b")
        self._map = mmap.mmap(self._file.fileno(), mmap.PAGESIZE)

    def advance(self, seconds):
        self._map[:8] = struct.pack("=q", self.offset() + seconds)

    def offset(self):
        return struct.unpack("=q", self._map[:8])[0]

    def now(self):
        """The wall clock as the daemons see it, in seconds."""
        return int(time.time()) + self.offset()

    def close(self):
        self._map.close()
        self._file.close()
