"""Makes the helpers beside these tests (exhaustive, random_feeds) importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
