"""Image generation homework in Keras 3: autoencoders, VAEs and GANs, one script a section.

Run a section with `python -m hw5.section1`, read its figures in `figures/section1/`.
"""

import importlib
import os

__version__ = "0.1.0"

# A ~/.keras/keras.json that names another backend would break every custom train_step.
os.environ["KERAS_BACKEND"] = "tensorflow"

# TensorFlow takes oneDNN's convolutions by itself only on processors with AVX-512; they are a third
# faster on the others, too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def _import_silently(name: str) -> None:
    """Import a module with stderr closed; a failed import still raises."""
    stderr = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        importlib.import_module(name)
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


# What TensorFlow logs before its logging is set up obeys no setting, and the one line that tells a user
# what to mend would drown in it. TF_CPP_MIN_LOG_LEVEL=0 brings everything back.
if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "0":
    _import_silently("tensorflow")
