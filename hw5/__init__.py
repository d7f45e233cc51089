"""Image generation homework in Keras 3: autoencoders, VAEs and GANs, one script per section.

Run a section with `python -m hw5.section1`, read its figures in `figures/section1/`. From Python, `hw5.section1.run()`
does the same; the modules are imported when they are first used.
"""

import importlib
import importlib.util
import os
import sys

__version__ = "0.1.0"

if "keras" in sys.modules and sys.modules["keras"].config.backend() != "tensorflow":
    raise ImportError("hw5 needs Keras' TensorFlow backend: import hw5 before keras, or set KERAS_BACKEND=tensorflow")

# A ~/.keras/keras.json that names another backend would break every custom train_step.
os.environ["KERAS_BACKEND"] = "tensorflow"

# TensorFlow uses oneDNN's convolutions by default only on processors with AVX-512. They are a third faster
# on other processors, too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# A GPU's memory is taken as it is needed, so that others can use it as well.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


class QuietTensorFlow:
    """An entry of `sys.meta_path` that closes stderr while TensorFlow is imported; a failed import still raises.

    No setting silences the messages that TensorFlow writes before its logging is set up. Among them, a user
    would overlook the one line that says what to fix.
    """

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "tensorflow":
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: _without_stderr(execute, module)
        return spec


def _without_stderr(function, *arguments):
    try:
        stderr = os.dup(2)
    except OSError:  # it is closed already
        return function(*arguments)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        function(*arguments)
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


# With TF_CPP_MIN_LOG_LEVEL=0 all messages are shown.
if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "0" and "tensorflow" not in sys.modules:
    sys.meta_path.insert(0, QuietTensorFlow)


def __getattr__(name):
    try:
        return importlib.import_module(f"hw5.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"hw5.{name}":
            raise
        raise AttributeError(f"module 'hw5' has no attribute {name!r}") from None
