"""`python -m ebulk`, and the command `ebulk`."""

import sys

from ebulk.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
