"""Starts `attnviz browse` with these arguments in a terminal of 80 × 24, and ends it once a link is shown.

Run with -S, it starts in a few milliseconds itself.
"""

import fcntl
import os
import pty
import signal
import struct
import sys
import termios

_SHOWN = b"looks at"


def main() -> None:
    """Starts it, waits for what it shows, and ends it."""
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, [sys.executable, "-m", "attnviz", "browse", *sys.argv[1:]])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    written = b""
    while _SHOWN not in written:
        written += os.read(terminal, 65536)
    os.kill(child, signal.SIGKILL)  # what is measured is the start
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
