"""One training step on several devices: random numbers and moments as one device has them for the whole batch.

A strategy of `tf.distribute` gives each replica a part of the batch. The functions here are called within its
`run`. With one replica, or outside of `run`, they do nothing but the plain operation. Parts may differ in size, and
may be empty.
"""

from collections.abc import Callable

import tensorflow as tf
from keras import ops


def count() -> int:
    """Return the number of replicas that work on the current step."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def gather(value):
    """Stack the values of all replicas, [...] → [replicas, ...]; gradients pass through."""
    # A sum of stacks in which only the own value is not 0: TensorFlow's `all_gather` takes ten times as long to trace.
    context, value = tf.distribute.get_replica_context(), tf.convert_to_tensor(value)
    before = context.replica_id_in_sync_group
    paddings = [[before, context.num_replicas_in_sync - 1 - before], *[[0, 0]] * value.shape.rank]
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.pad(value[None], paddings))


def share(number):
    """Return this replica's share of the batch: its `number` of images over that of all replicas.

    The sum over replicas of share · (mean over a replica's images) is the mean over the batch. Keras' optimizers
    add up the gradients of the replicas. So the loss of a replica times its share has the gradient of one device.
    """
    if count() == 1:
        return 1.0
    return tf.cast(number, tf.float32) / tf.cast(tf.reduce_sum(gather(number)), tf.float32)


def draw(random: Callable, number, axis: int = 0):
    """Draw random numbers for this replica's part of the batch: those that one device would draw for it.

    The generators of all replicas have the same state. So each draws for the whole batch and keeps its own part;
    numbers drawn for the part alone would be equal on all replicas.

    Args:
        random: number of images in the batch → random numbers, which have that many entries along `axis`.
        number: of the images in this replica's part.
    """
    if count() == 1:
        return random(number)
    numbers = gather(number)
    first = tf.cumsum(numbers, exclusive=True)[tf.distribute.get_replica_context().replica_id_in_sync_group]
    drawn = random(tf.reduce_sum(numbers))
    begin, size = [0] * drawn.shape.rank, [-1] * drawn.shape.rank
    begin[axis], size[axis] = first, number
    return tf.slice(drawn, begin, size)


def moments(values, axes):
    """Compute the mean and the variance over `axes`, of which the first is the batch, and over all replicas.

    The parts are merged as by Chan et al. 1979, which subtracts no large numbers from each other.

    Returns:
        (mean, variance with divisor n, n); the first two without `axes`, n is a float.
    """
    number = tf.cast(tf.reduce_prod([tf.shape(values)[axis] for axis in axes]), tf.float32)
    mean = tf.math.divide_no_nan(tf.reduce_sum(values, axes, keepdims=True), number)
    squares = tf.reduce_sum(tf.square(values - mean), axes)  # about the mean of this part
    mean = tf.squeeze(mean, axes)
    if count() > 1:
        size = tf.size(mean)
        parts = gather(tf.concat([number[None], tf.reshape(mean, [-1]), tf.reshape(squares, [-1])], axis=0))
        numbers, means, all_squares = parts[:, :1], parts[:, 1 : size + 1], parts[:, size + 1 :]
        number = tf.reduce_sum(numbers)
        whole = tf.reduce_sum(numbers / number * means, axis=0)
        between = tf.reduce_sum(numbers * tf.square(means - whole), axis=0)
        squares = tf.reshape(tf.reduce_sum(all_squares, axis=0) + between, tf.shape(squares))
        mean = tf.reshape(whole, tf.shape(mean))
    return mean, squares / number, number


def std(values):
    """Compute the standard deviation over the batch, of each entry: [batch, ...] → [...]."""
    return ops.std(values, axis=0) if count() == 1 else tf.sqrt(moments(values, [0])[1])
