"""A substitute for torchvision's operators, to import before torchvision if PyTorch is its CPU build.

PyPI's torchvision is built for PyTorch's CUDA build. With the CPU build its compiled operators do not load, and the
module that describes them fails. The networks in these benchmarks need none of them.
"""

import sys
import types

sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
