"""Import this before torchvision where PyTorch is its CPU build.

PyPI's torchvision is built for PyTorch's CUDA build; beside the other its compiled operators do not load,
and the module that describes them fails. The networks in these benchmarks need none of them.
"""

import sys
import types

sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
