"""The doctor on its own: `python -m clusters.azure.doctor`."""

import sys

from clusters.azure.doctor.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
