"""`pytorch_nndct.nn.functional`: the names of `pytorch_nndct.nn.modules.functional`."""

from pytorch_nndct.nn.modules.functional import *  # noqa: F403
from pytorch_nndct.nn.modules.functional import __all__ as __all__
