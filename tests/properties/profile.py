"""How much the property tests try: the same few examples in every run, or many random ones.

`PROPERTY_EXAMPLES=2000 make test` (or `make soak`) tries so many new ones, and says their seeds;
with `PROPERTY_SEED` a merchant's whole life begins at that one.
"""

import os
from typing import Final

from hypothesis import Phase, settings

_ASKED: Final = os.environ.get("PROPERTY_EXAMPLES")

EXAMPLES: Final = int(_ASKED or "80")

_SEED: Final = os.environ.get("PROPERTY_SEED")

SEED: Final = None if _SEED is None else int(_SEED)

PHASES: Final = (
    tuple(Phase) if os.environ.get("PROPERTY_SHRINK") else (Phase.explicit, Phase.generate)
)

settings.register_profile("anxin", derandomize=_ASKED is None, deadline=None, print_blob=True)
settings.load_profile("anxin")
