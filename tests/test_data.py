"""The embedded datasets, byte by byte, and the pipeline that feeds them to a model."""

import hashlib
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from hw5 import data
from hw5.data import prepared

# SHA-256 of the decoded pixels. MNIST's and the faces' were computed from the sources without this
# package: the bytes of the IDX files behind their headers, and the PNGs as Pillow decodes them.
SPLITS = {
    ("mnist", "train"): ((60000, 28, 28, 1), "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757"),
    ("mnist", "test"): ((10000, 28, 28, 1), "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161"),
    ("emojione", "train"): ((1832, 32, 32, 3), "359df78255cb77ee57fe597e5fc6b21388e7c32f66f95b0dee2073834efe5917"),
    ("cartoon_faces", "train"): ((8000, 64, 64, 3), "efc469cd7913f04ebbc0fb770b8f6bc693d472ffbce713214f5936d334b390fe"),
    ("cartoon_faces", "validation"): (
        (1000, 64, 64, 3),
        "88823964242d37ca3e5967a20a2a4354536e7032f85d4c47b73b7e127912a760",
    ),
    ("cartoon_faces", "test"): ((1000, 64, 64, 3), "594629b4e60e46a49f94e9d2f151bf012ce2d00f9bfddc47874843ed63da6918"),
}


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_embedded_split_holds_the_pixels_of_its_source(name, split):
    shape, digest = SPLITS[name, split]
    images = data.load(name, split)
    assert images.dtype == np.uint8
    assert images.shape == shape
    assert hashlib.sha256(images.tobytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("split", "digest"),
    [
        ("train", "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13"),
        ("test", "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5"),
    ],
)
def test_mnist_labels_are_those_of_the_idx_file(split, digest):
    labels = data.load("mnist", split, feature="label")
    assert hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest() == digest


def test_attributes_of_the_faces():
    smiling = data.load("cartoon_faces", "test", feature="attributes/Smiling")
    assert smiling.dtype == bool
    assert smiling.sum() == 485  # counted in attributes.csv
    assert data.load("cartoon_faces", "test", feature="attributes/seed", limit=2).tolist() == [b"9000", b"9001"]


def test_groups_of_the_emojis():
    label, group, code_points = (
        data.load("emojione", feature=name) for name in ("label", "group", "attributes/code_points")
    )
    group, code_points = [text.decode() for text in group], [text.decode() for text in code_points]
    assert code_points == sorted(code_points)  # the order of the images
    assert len(set(zip(label, group, strict=True))) == len(set(group)) == 10
    by_code_points = dict(zip(code_points, group, strict=True))
    # Read from the charts of unicode.org.
    for code_point, name in {
        "1f600": "Smileys & Emotion",
        "1f40d": "Animals & Nature",
        "1f355": "Food & Drink",
    }.items():
        assert by_code_points[code_point] == name
    for code_points, name in by_code_points.items():
        parts = [int(part, 16) for part in code_points.split("-")]
        regional = [0x1F1E6 <= part <= 0x1F1FF for part in parts]
        if all(regional):  # two letters are a flag
            assert name == ("Flags" if len(parts) == 2 else "Component")
        if len(parts) > 1 and 0x1F3FB <= parts[-1] <= 0x1F3FF:  # a skin tone
            assert name in ("People & Body", "Activities"), code_points


def test_every_embedded_dataset_carries_its_licence():
    for folder in data.STORE.iterdir():
        if folder.is_dir():
            assert (folder / "NOTICE.txt").exists(), folder
            assert list(folder.glob("LICENSE*")) or folder.name == "mnist"


def test_tfds_itself_reads_the_store():
    dataset = tfds.load("cartoon_faces", split="test", data_dir=data.STORE, download=False)
    first = next(iter(dataset.as_numpy_iterator()))
    np.testing.assert_array_equal(first["image"], data.load("cartoon_faces", "test", limit=1)[0])


def test_slices_and_limit_keep_the_order(digits):
    np.testing.assert_array_equal(data.load("mnist", "train[1000:1010]"), digits[1000:1010])
    np.testing.assert_array_equal(data.load("mnist", "train[1000:]", limit=3), digits[1000:1003])
    assert len(data.load("mnist", "test[:1%]+train[:5]")) == 105


def test_train_validation_is_90_to_10():
    images, validation = data.train_validation("mnist", train_size=100)
    assert len(images) == 100
    assert len(validation) == 6000
    np.testing.assert_array_equal(validation[:2], data.load("mnist", "train[54000:54002]"))
    with pytest.raises(data.InputError, match="^train_size=2000.*1649 training images"):
        data.train_validation("emojione", train_size=2000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("minst",), "unknown dataset 'minst'; embedded are cartoon_faces, emojione, mnist"),
        (("mnist", "dev"), "no split 'dev'; it has train, test"),
        (("mnist", "train[a:b]"), "no split"),
        (("mnist", None), "no split None"),
        (("mnist", "test[:20000]"), "goes beyond the end; train has 60,000 images, test has 10,000 images"),
        (("mnist", "train[60000:]"), "train[60000:] selects no images"),
        (("mnist", "test[5:2]"), "test[5:2] selects no images"),
        (("mnist", "train[:10]+test[50%:40%]"), "selects no images"),
    ],
)
def test_the_error_for_an_unknown_name_lists_the_known_ones(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        data.load(*arguments)


def test_unknown_feature_and_empty_limit():
    with pytest.raises(ValueError, match="no image, number or text 'labels'; it has .*label"):
        data.load("mnist", feature="labels")
    with pytest.raises(ValueError, match="no image, number or text 'attributes'"):
        data.load("cartoon_faces", feature="attributes")
    with pytest.raises(ValueError, match="limit=0"):
        data.load("mnist", limit=0)


def test_a_dataset_that_cannot_be_downloaded_is_reported_at_once(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise prepared.requests.ConnectionError

    monkeypatch.setattr(prepared.requests, "head", no_network)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", lambda *_, **__: pytest.fail("tried"))
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=r"'cifar100' is not in .* cannot be downloaded \(no connection to [\w.]+\)$"):
        data.load("cifar100")
    with pytest.raises(ValueError, match="cannot be downloaded .*; the embedded one is called mnist$"):
        data.load("mnist:3.0.1")


def test_a_configuration_that_does_not_exist_gets_the_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="'emnist' has no configuration 'nonsense'; it has byclass, .*balanced"):
        data.load("emnist/nonsense")
    (tmp_path / "emnist").mkdir()  # then it may be one of the sets of a folder
    with pytest.raises(ValueError, match="emnist/nonsense: no such file or folder"):
        data.load("emnist/nonsense")


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """A function that stores a dataset of 20 images where TFDS looks for them, and returns its folder."""
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))

    def store(name, shape, dtype=np.uint8, images=None, feature=None, file_format=None, data_dir=tmp_path):
        if images is None:
            images = np.random.default_rng(0).integers(0, 255, (20, *shape)).astype(dtype)
        features = {"image": feature or tfds.features.Image(shape=shape, dtype=dtype), "label": np.int64}
        return tfds.dataset_builders.store_as_tfds_dataset(
            name=name,
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets={"train": ((i, {"image": image, "label": i}) for i, image in enumerate(images))},
            data_dir=data_dir,
            disable_shuffling=True,
            file_format=file_format,
        ).data_path

    return store


def test_images_that_are_neither_grey_nor_rgb_are_refused(stored):
    stored("strange", (5, 5, 4))
    with pytest.raises(data.InputError, match="'strange' has images of 4 channels, uint8; they must have 1 or 3"):
        data.load("strange")


@pytest.mark.parametrize(("dtype", "white"), [(np.uint16, 65535), (np.float32, 1), (np.float32, 255)])
def test_other_types_of_images_are_scaled_to_bytes(stored, dtype, white):
    images = (np.random.default_rng(0).random((20, 5, 6, 1)) * white / 300).astype(dtype)
    images[19, 0, 0, 0] = white  # the range is that of all images, also if a part of them is dark
    stored("deep", images.shape[1:], dtype, images)
    expected = np.round(np.float64(images) * 255 / white)
    np.testing.assert_array_equal(data.load("deep"), expected)
    np.testing.assert_array_equal(data.load("deep", "train[2:5]"), expected[2:5])


def test_floats_of_an_unknown_range_are_refused(stored):
    images = np.linspace(-1, 1, 20 * 5 * 5, dtype=np.float32).reshape(20, 5, 5, 1)
    stored("signed", (5, 5, 1), np.float32, images)
    with pytest.raises(data.InputError, match="dataset 'signed': values from -1 to 1; black must be 0"):
        data.load("signed")


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_of_the_shape_of_images_are_images(stored, shape, dtype):
    images = np.random.default_rng(0).integers(0, 256, (20, *shape)).astype(dtype)
    stored("plain", shape, dtype, images, tfds.features.Tensor(shape=shape, dtype=dtype))
    np.testing.assert_array_equal(data.load("plain"), images.reshape(20, 5, 6, -1))


def test_array_records_are_read_in_their_order(stored):
    images = np.random.default_rng(0).integers(0, 256, (1100, 5, 5, 1), np.uint8)
    stored("records", (5, 5, 1), images=images, file_format="array_record")
    np.testing.assert_array_equal(data.load("records"), images)
    np.testing.assert_array_equal(data.load("records", "train[700:1030]"), images[700:1030])
    np.testing.assert_array_equal(data.load("records", limit=7), images[:7])
    np.testing.assert_array_equal(data.load("records", feature="label"), np.arange(1100))


def test_an_array_record_that_is_cut_off_gets_one_line_without_a_traceback(stored):
    (file,) = stored("records", (5, 5, 1), file_format="array_record").glob("*.array_record*")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(data.InputError, match="dataset 'records' in .* cannot be read") as caught:
        data.load("records")
    assert not re.search("\n|Traceback", str(caught.value))


def test_the_folder_of_a_prepared_dataset_is_a_path(stored):
    folder = stored("mine", (5, 5, 1))
    expected = data.load("mine")
    for path in (folder, folder.parent, f"{folder.parent}/"):
        np.testing.assert_array_equal(data.load(path), expected)


@pytest.mark.parametrize("kind", ["uint(", "floa|32", "bnol", ""])
def test_a_type_that_does_not_exist_is_damage(stored, kind):
    folder = stored("mine", (5, 5, 1))
    file = folder / "features.json"
    changed = file.read_text().replace('"uint8"', f'"{kind}"')
    assert changed != file.read_text()
    file.write_text(changed)
    for name in ("mine", folder):
        with pytest.raises(data.InputError, match="cannot be read .*; is it damaged?"):
            data.load(name)


@pytest.mark.parametrize("damage", ["cut", "emptied", "changed", "removed"])
@pytest.mark.parametrize("pattern", ["*.tfrecord*", "dataset_info.json"])
def test_a_damaged_dataset_is_one_line_that_names_it(stored, damage, pattern):
    (file,) = stored("mine", (5, 5, 1)).glob(pattern)
    whole = file.read_bytes()
    left = {"cut": whole[: len(whole) // 2], "emptied": b"", "changed": whole.replace(b"a", b"\0"), "removed": None}
    file.unlink()
    if left[damage] is not None:
        file.write_bytes(left[damage])
    with pytest.raises(data.InputError, match="dataset 'mine'") as caught:
        data.load("mine")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_off_between_two_examples_is_found(stored):
    (file,) = stored("mine", (5, 5, 1)).glob("*.tfrecord*")
    whole = file.read_bytes()
    starts = [0]
    while starts[-1] < len(whole):  # a record is its length, its data, and a checksum of each
        starts.append(starts[-1] + 8 + 4 + int.from_bytes(whole[starts[-1] :][:8], "little") + 4)
    file.write_bytes(whole[: starts[-2]])
    assert data.load("mine", "train[:5]").shape == (5, 5, 5, 1)
    with pytest.raises(data.InputError, match="dataset 'mine' in .* cannot be read"):
        data.load("mine")


def test_one_s_own_dataset_of_an_embedded_name(stored, tmp_path, capsys):
    """`data_dir` comes before the package, the usual TFDS folder after it; both are said."""
    images = np.full((20, 5, 5, 1), 7, np.uint8)
    stored("emojione", (5, 5, 1), images=images)
    np.testing.assert_array_equal(data.load("emojione", data_dir=tmp_path), images)
    assert f"note: emojione: the one in {tmp_path}, not the embedded dataset" in capsys.readouterr().err
    assert data.load("emojione", limit=2).shape == (2, 32, 32, 3)
    assert f"the embedded dataset, not the one in {tmp_path}; {tmp_path}/emojione" in capsys.readouterr().err
    np.testing.assert_array_equal(data.load(f"{tmp_path}/emojione"), images)
    assert data.load("mnist", limit=2, data_dir=tmp_path).shape == (2, 28, 28, 1)
    assert f"note: mnist: the embedded dataset; {tmp_path} holds none of that name" in capsys.readouterr().err
    with pytest.raises(data.InputError, match="^data_dir=nowhere: no such folder"):
        data.load("mnist", data_dir="nowhere")


def test_a_folder_in_the_current_directory_does_not_shadow_a_dataset(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("mnist", "mine"):
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4), 9).save(tmp_path / name / "a.png")
    assert data.load("mnist", limit=2).shape == (2, 28, 28, 1)
    assert "note: mnist is the dataset; write ./mnist for the folder" in capsys.readouterr().err
    for path in ("./mnist", "mnist/", tmp_path / "mnist", Path("mnist"), "mine"):
        np.testing.assert_array_equal(data.load(path), np.full((1, 4, 4, 1), 9))


@pytest.mark.parametrize("name", ["mnist:1.0.0", "mnist/1.0.0", "mnist:1.*.*", "MNIST"])
def test_names_with_a_version(name):
    np.testing.assert_array_equal(data.load(name, limit=3), data.load("mnist", limit=3))


@pytest.mark.parametrize(
    ("name", "full_name"),
    [("mnist:3.0.1", "mnist/3.0.1"), ("emnist/balanced", "emnist/balanced/3.1.0"), ("cifar10/3.0.2", "cifar10/3.0.2")],
)
def test_versions_and_configurations_of_tfds(name, full_name, tmp_path, monkeypatch):
    downloaded = []
    monkeypatch.setattr(prepared, "_download", lambda builder: downloaded.append(builder.info.full_name))
    monkeypatch.setattr(prepared, "load", lambda builder, *_: builder.info.full_name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "emnist" / "balanced").mkdir(parents=True)  # a folder of that name is not meant
    assert data.load(name, data_dir=tmp_path) == full_name
    assert downloaded == [full_name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar10:9.9.9", "dataset 'cifar10:9.9.9': .*only: 3.0.2"),
        ("cifar10/nothing", "cifar10/nothing: no such file or folder"),
        ("minst/train", "minst/train: no such file or folder"),
        ("minst.npy", "minst.npy: no such file or folder"),
        ("mnist:test", "unknown dataset 'mnist:test'"),
        ("", "unknown dataset ''"),
        ("x" * 5000 + "/a", "^x+/a: File name too long$"),
    ],
)
def test_unknown_versions_configurations_and_paths(name, message):
    with pytest.raises(data.InputError, match=message) as caught:
        data.load(name)
    assert "\n" not in str(caught.value)


NUMBERED = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)


def order(**arguments):
    return [np.rint(batch.numpy().ravel() * 255).astype(int).tolist() for batch in data.pipeline(NUMBERED, **arguments)]


def test_pipeline_keeps_the_order_and_the_last_partial_batch():
    assert order(batch_size=4) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_pipeline_scales_to_the_value_range(digits):
    for low, high in ((0, 1), (-1, 1)):
        (batch,) = data.pipeline(digits[:5], 5, value_range=(low, high))
        assert batch.dtype == "float32"
        np.testing.assert_allclose(batch, low + digits[:5] / 255 * (high - low), atol=2e-7)
        assert (batch.numpy().min(), batch.numpy().max()) == (low, high)


@pytest.mark.parametrize("shape", [(10, 2), (10, 4, 4, 1)])
def test_pipeline_does_not_change_float32_samples(shape):
    samples = np.random.default_rng(0).normal(0, 100, shape).astype(np.float32)
    for value_range in ((-1, 1), None):
        batches = list(data.pipeline(samples, 4, value_range=value_range).as_numpy_iterator())
        assert [batch.dtype for batch in batches] == [np.float32] * 3
        np.testing.assert_array_equal(np.concatenate(batches), samples)
    (shuffled,) = data.pipeline(samples, 10, shuffle=True).as_numpy_iterator()
    assert not np.array_equal(shuffled, samples)
    np.testing.assert_array_equal(np.sort(shuffled, axis=0), np.sort(samples, axis=0))


def test_shuffled_passes_are_permutations_that_differ_and_depend_on_the_seed():
    batches = order(batch_size=4, shuffle=True, seed=1, epochs=4)
    assert [len(batch) for batch in batches] == [4] * 10  # batches continue from one pass into the next
    passes = np.reshape(sum(batches, []), (4, 10))
    np.testing.assert_array_equal(np.sort(passes), np.tile(range(10), (4, 1)))
    assert len(np.unique(passes, axis=0)) == 4
    assert batches == order(batch_size=4, shuffle=True, seed=1, epochs=4)
    assert batches != order(batch_size=4, shuffle=True, seed=2, epochs=4)


def test_the_batch_size_does_not_change_the_order():
    assert sum(order(batch_size=3, shuffle=True, epochs=2), []) == sum(order(batch_size=7, shuffle=True, epochs=2), [])


def test_an_endless_pipeline_continues_like_a_finite_one():
    endless = data.pipeline(NUMBERED, 4, shuffle=True, epochs=None)
    assert endless.element_spec.shape == (4, 1, 1, 1)
    finite = data.pipeline(NUMBERED, 4, shuffle=True, epochs=3)
    for expected, batch in zip(finite.take(7), endless, strict=False):
        np.testing.assert_array_equal(expected, batch)


def test_pipeline_knows_its_length():
    assert data.pipeline(NUMBERED, 4, epochs=2).cardinality() == 5
    assert data.pipeline(NUMBERED, 4, epochs=None).cardinality() == -1


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("start", range(8))
def test_a_pipeline_can_start_at_any_batch(start, shuffle):
    finite = dict(batch_size=4, shuffle=shuffle, seed=3, epochs=3)  # 7½ batches, their ends within passes
    assert order(**finite, start=start) == order(**finite)[start:]
    endless = data.pipeline(NUMBERED, **(finite | {"epochs": None}), start=start)
    whole = data.pipeline(NUMBERED, **(finite | {"epochs": None}))
    for expected, batch in zip(whole.skip(start).take(9), endless, strict=False):
        np.testing.assert_array_equal(expected, batch)
    assert data.pipeline(NUMBERED, **finite, start=start).cardinality() == 8 - start
    assert endless.cardinality() == -1


def test_batches_larger_than_a_pass_can_be_started_at_as_well():
    finite = dict(batch_size=23, shuffle=True, epochs=7)
    for start in range(4):
        assert order(**finite, start=start) == order(**finite)[start:]


def test_a_pipeline_that_starts_at_its_end_is_empty():
    assert order(batch_size=5, epochs=2, start=4) == []
    assert data.pipeline(NUMBERED, 5, epochs=2, start=4).cardinality() == 0


@pytest.mark.parametrize(
    ("images", "batch_size", "message"),
    [
        (NUMBERED / 255, 4, "must be uint8"),
        (np.zeros((10, 2)), 4, r"not float64 \[10, 2\]"),
        (NUMBERED[..., 0], 4, r"not uint8 \[10, 1, 1\]"),
        (NUMBERED[:0], 4, "must be uint8"),
        (NUMBERED, 0, "batch_size=0"),
    ],
)
def test_pipeline_refuses_invalid_arrays_and_batch_sizes(images, batch_size, message):
    with pytest.raises(ValueError, match=message):
        data.pipeline(images, batch_size)


def test_keras_takes_a_pipeline(digits):
    assert keras.Sequential([keras.layers.Flatten()]).predict(data.pipeline(digits, 300), verbose=0).shape == (
        2000,
        784,
    )


def test_resize_is_bilinear_as_in_pillow(digits):
    resized = data.resize(digits[:20], 32)
    assert resized.dtype == np.uint8
    assert resized.shape == (20, 32, 32, 1)
    for image, original in zip(resized, digits, strict=False):
        expected = Image.fromarray(original[..., 0]).resize((32, 32), Image.Resampling.BILINEAR)
        assert np.abs(image[..., 0].astype(int) - np.asarray(expected)).max() <= 1  # it rounds after each axis


def test_resize_keeps_order_and_count_beyond_one_part():
    images = np.arange(256, dtype=np.uint8).repeat(3)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    resized = data.resize(images, 6)
    np.testing.assert_array_equal(resized, np.broadcast_to(images[:, :1, :1], resized.shape))


def test_a_random_subset_is_of_the_whole_of_an_ordered_set():
    ordered = np.arange(1000)
    chosen = data.random_subset(ordered, 400, seed=1)
    assert len({*chosen.tolist()}) == 400
    # Of the 100 numbers in each tenth 40 ± 4.6 are expected: 4.6² = 100 · 0.4 · 0.6 · 900/999.
    assert abs(np.bincount(chosen // 100) - 40).max() < 5 * 4.6
    np.testing.assert_array_equal(chosen, data.random_subset(ordered, 400, seed=1))
    assert set(chosen) != set(data.random_subset(ordered, 400, seed=2))
    np.testing.assert_array_equal(data.random_subset(ordered[:3], 3), [0, 1, 2])
    np.testing.assert_array_equal(data.random_subset(ordered[:3], 4), [0, 1, 2])
