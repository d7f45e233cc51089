"""Image generation homework in Keras 3: autoencoders, VAEs and GANs, one script a section.

Run a section with `python -m hw5.section1`, read its figures in `figures/section1/`.
"""

import os

# Must be set before TensorFlow is imported. A ~/.keras/keras.json that names another backend would
# break every custom train_step; TensorFlow's start-up chatter hides the one line that matters.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

__version__ = "0.1.0"
