"""python -m simulator FILE."""

import sys

from simulator.main import main

sys.exit(main())
