"""What the layers of a network get and give, also within blocks and in the `call` of a subclass of `keras.Model`."""

from submission import in_worker


@in_worker
def layer_calls(network, inputs, blocks=False):
    """Apply a network, and list the calls of its layers that consist of no others, in their order.

    Args:
        blocks: list those of layers that consist of others as well, but not of models.

    Returns:
        Of each call a dict(layer, kind, weights, inputs, outputs): the layer, the name of its class, the shapes of its
        weights, and two arrays.
    """
    from unittest import mock

    import keras
    import numpy as np

    found, call = [], keras.layers.Layer.__call__

    def recording(self, x, *others, **named):
        y = call(self, x, *others, **named)
        is_listed = not hasattr(self, "layers") if blocks else not [*self._flatten_layers(include_self=False)]
        if hasattr(x, "shape") and hasattr(y, "shape") and is_listed:
            shapes = [tuple(weight.shape) for weight in self.weights]
            layer = {"layer": self, "kind": type(self).__name__, "weights": shapes}
            found.append(layer | {"inputs": x, "outputs": y})
        return y

    with mock.patch.object(keras.layers.Layer, "__call__", recording):
        network(np.float32(inputs))
    return found
