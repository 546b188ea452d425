"""`python -m jointbert` is `jointbert`."""

import sys

from jointbert.cli import main

sys.exit(main())
