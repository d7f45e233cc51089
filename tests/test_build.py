"""Datasets from folders, zip files and IDX files."""

import gzip
import io
import os
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from processes import python_m

from hw5 import data
from hw5.data import build
from hw5.data.decode import to_array
from hw5.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """Images of every kind that users may have: greyscale, palette, alpha, 16 bits, JPEG, odd sizes."""
    path = tmp_path / "pictures"
    (path / "sub").mkdir(parents=True)
    Image.new("L", (10, 20), 100).save(path / "a_grey.png")
    Image.new("RGB", (8, 8), (255, 0, 0)).convert("P").save(path / "b_palette.png")
    Image.new("RGBA", (8, 8), (0, 0, 255, 0)).save(path / "c_transparent.png")
    Image.new("RGBA", (8, 8), (0, 0, 0, 128)).save(path / "d_half.png")
    Image.fromarray(np.full((5, 5), 51 * 257, np.uint16)).save(path / "e_16bit.png")
    Image.new("RGB", (30, 12), (0, 128, 0)).save(path / "sub" / "f.JPG")
    Image.new("CMYK", (6, 6), (0, 0, 0, 0)).save(path / "sub" / "g.jpeg")
    (path / "notes.txt").write_text("not an image")
    return path


def test_every_kind_of_image_becomes_rgb(folder, tmp_path):
    build.run(source=str(folder), name="pictures", data_dir=str(tmp_path / "out"), size=8)
    images = tfds.load("pictures", data_dir=tmp_path / "out", split="train", batch_size=-1)["image"].numpy()
    assert images.shape == (7, 8, 8, 3)
    expected = [(100,) * 3, (255, 0, 0), (255,) * 3, (127,) * 3, (51,) * 3, (0, 128, 0), (255,) * 3]
    for image, colour in zip(images, expected, strict=True):  # JPEG may be a level off
        np.testing.assert_allclose(image, np.broadcast_to(colour, (8, 8, 3)), atol=1)


def test_load_finds_a_built_dataset(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    build.run(source=str(folder), name="mine", size=4, channels=1, splits="train:0.6,test:0.4")
    assert data.load("mine").shape == (4, 4, 4, 1)
    assert data.load("mine", "test").shape == (3, 4, 4, 1)


def test_other_sizes_cover_the_square_and_are_cropped_to_its_centre(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200  # the centre square
    Image.fromarray(wide).save(tmp_path / "wide.png")
    np.testing.assert_array_equal(to_array(tmp_path / "wide.png", 10, 3), np.full((10, 10, 3), 200))


@pytest.mark.parametrize("colours", [4, 256, 1000])
def test_png_is_lossless_with_and_without_a_palette(colours):
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (colours, 3), np.uint8)
    image = palette[rng.integers(0, colours, (40, 40))]
    file = io.BytesIO(build.to_png(image))
    np.testing.assert_array_equal(Image.open(file).convert("RGB"), image)


def test_zip_and_attributes(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for name in ("a_grey.png", "b_palette.png"):
            archive.write(folder / name, name)
        archive.writestr("__MACOSX/._a_grey.png", b"what macOS adds to zip files")
    (tmp_path / "some.csv").write_text("Round,colour\n0,grey\n1,red\n")
    build.run(
        source=str(tmp_path / "some.zip"),
        name="zipped",
        data_dir=str(tmp_path / "out"),
        size=8,
        attributes=str(tmp_path / "some.csv"),
    )
    examples = list(tfds.load("zipped", data_dir=tmp_path / "out", split="train").as_numpy_iterator())
    assert [(e["attributes"]["Round"], e["attributes"]["colour"]) for e in examples] == [
        (False, b"grey"),
        (True, b"red"),
    ]


def test_classes_of_a_csv_file_are_features_of_their_own(folder, tmp_path):
    rows = [(number % 3, f"class {number % 3}", number % 2) for number in range(7)]
    table = tmp_path / "classes.csv"
    table.write_text("label,group,Odd\n" + "".join(f"{label},{group},{odd}\n" for label, group, odd in rows))
    build.run(source=folder, name="mine", data_dir=tmp_path / "out", size=4, attributes=table)
    loaded = [
        data.load("mine", feature=name, data_dir=tmp_path / "out") for name in ("label", "group", "attributes/Odd")
    ]
    assert list(zip(loaded[0], (group.decode() for group in loaded[1]), loaded[2], strict=True)) == rows
    table.write_text("label\n" + "0\n1\n-1\n0\n1\n0\n1\n")
    with pytest.raises(InputError, match=r"classes.csv: label '-1' must be the number of a class"):
        build.run(source=folder, name="other", data_dir=tmp_path / "out", size=4, attributes=table)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", ", "])
@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("1", "-1"), ("True", "False")])
def test_tables_in_the_forms_that_programs_write(tmp_path, delimiter, yes, no):
    rows = [("file", "Male", "Old"), ("faces/B.PNG", yes, yes), ("faces/A.PNG", no, no)]
    table = tmp_path / "table.csv"
    table.write_text("".join(delimiter.join(row) + "\n" for row in rows))
    first, second = build.read_attributes(table, ["a.png", "b.png"])
    assert first == {"file": "faces/A.PNG", "Male": False, "Old": False}
    assert second == {"file": "faces/B.PNG", "Male": True, "Old": True}


def test_labels_of_a_table_may_be_names(folder, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("label\n" + "dog\ncat\ndog\nemu\ncat\ncat\ndog\n")
    path = build.run(source=folder, name="mine", data_dir=tmp_path / "out", size=4, attributes=table)
    assert data.load("mine", feature="label", data_dir=tmp_path / "out").tolist() == [1, 0, 1, 2, 0, 0, 1]
    assert tfds.builder_from_directory(path).info.features["label"].names == ["cat", "dog", "emu"]


def test_idx_files(tmp_path):
    rng = np.random.default_rng(0)
    images = {"train": rng.integers(0, 256, (20, 5, 7), np.uint8), "t10k": rng.integers(0, 256, (4, 5, 7), np.uint8)}
    for prefix, pixels in images.items():
        header = b"\0\0\x08\x03" + np.array(pixels.shape, ">i4").tobytes()
        with gzip.open(tmp_path / f"{prefix}-images-idx3-ubyte.gz", "wb") as file:
            file.write(header + pixels.tobytes())
        labels = bytes(i % 3 for i in range(len(pixels)))
        label_header = b"\0\0\x08\x01" + np.array([len(pixels)], ">i4").tobytes()
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(label_header + labels)
    build.run(source=str(tmp_path), name="idx", data_dir=str(tmp_path / "out"))
    train = tfds.load("idx", data_dir=tmp_path / "out", split="train", batch_size=-1)
    np.testing.assert_array_equal(train["image"], images["train"][..., None])
    np.testing.assert_array_equal(train["label"], [i % 3 for i in range(20)])


def test_folders_of_classes_become_labels_in_every_slice(tmp_path):
    for folder in ("cat", "dog", "owl"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        for number in range(20):
            shade = 100 * ["cat", "dog", "owl"].index(folder) + number
            Image.new("L", (4, 4), shade).save(tmp_path / "in" / folder / f"{number}.png")
    out = tmp_path / "out"
    build.run(source=tmp_path / "in", name="pets", data_dir=out, size=4, channels=1, splits="train:0.7,test:0.3")
    builder = tfds.builder("pets", data_dir=out)
    assert builder.info.features["label"].names == ["cat", "dog", "owl"]
    shades = []
    for split in ("train", "test"):
        images, labels = (data.load("pets", split, feature=name, data_dir=out) for name in ("image", "label"))
        np.testing.assert_array_equal(images[:, 0, 0, 0] // 100, labels)
        assert set(labels[:15]) == {0, 1, 2}
        shades += images[:, 0, 0, 0].tolist()
    assert sorted(shades) == [100 * index + number for index in range(3) for number in range(20)]


def test_folders_of_splits_are_the_splits(tmp_path):
    for split, count in {"train": 3, "test": 2}.items():
        (tmp_path / "in" / split).mkdir(parents=True)
        for number in range(count):
            Image.new("L", (4, 4), number).save(tmp_path / "in" / split / f"{number}.png")
    build.run(source=tmp_path / "in", name="mine", data_dir=tmp_path / "out", size=4)
    assert [len(data.load("mine", split, data_dir=tmp_path / "out")) for split in ("train", "test")] == [3, 2]
    build.run(source=tmp_path / "in", name="other", data_dir=tmp_path / "out", size=4, splits="train:1")
    assert len(data.load("other", data_dir=tmp_path / "out")) == 5


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("file", "{}/{}.png"),
        ("anything", "{1}.png"),
        ("image_id", "{1}"),
        ("img", "{1}"),
        ("id", "00{1}"),
        ("file", "C:\\data\\{}\\{}.png"),
    ],
)
def test_rows_belong_to_the_images_that_they_name(tmp_path, header, form, capsys):
    names = [("sub", f"{number}") for number in range(12)]
    for parent, name in names:
        (tmp_path / "in" / parent).mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), int(name)).save(tmp_path / "in" / parent / f"{name}.png")
    rows = [f"{name},{form.format(parent, name)}" for parent, name in reversed([*names, ("sub", "12")])]
    table = tmp_path / "table.csv"
    table.write_text(f"number,{header}\n" + "\n".join(rows) + "\n", encoding="utf-8-sig")
    build.run(source=tmp_path / "in", name="mine", data_dir=tmp_path / "out", size=4, channels=1, attributes=table)
    images = data.load("mine", data_dir=tmp_path / "out")
    numbers = data.load("mine", feature="attributes/number", data_dir=tmp_path / "out")
    assert images[:, 0, 0, 0].tolist() == [int(number) for number in numbers]
    assert "table.csv: 1 rows are of other images" in capsys.readouterr().err


def test_numbers_in_order_may_count_the_rows(tmp_path, capsys):
    (tmp_path / "table.csv").write_text("id,x\n1,5\n2,6\n")
    rows = build.read_attributes(tmp_path / "table.csv", ["00.png", "01.png"])
    assert [row["x"] for row in rows] == ["5", "6"]
    assert "the rows are taken in the order of the names" in capsys.readouterr().err


def test_names_that_are_not_in_utf_8(tmp_path):
    source = tmp_path / os.fsdecode(b"\xe9tude")
    source.mkdir()
    Image.new("L", (4, 4), 9).save(source / "a.png")
    build.run(source=source, name="mine", data_dir=tmp_path / "out", size=4)
    assert data.load("mine", data_dir=tmp_path / "out").max() == 9
    with pytest.raises(InputError, match="is not in UTF-8, as TensorFlow needs its paths"):
        build.run(source=source, name="mine", data_dir=source / "out", size=4)


def test_the_row_numbers_of_pandas_are_no_attribute(tmp_path, capsys):
    (tmp_path / "table.csv").write_text(",x,file\n0,1,b.png\n1,0,a.png\n")
    rows = build.read_attributes(tmp_path / "table.csv", ["a.png", "b.png"])
    assert rows == [{"x": False, "file": "a.png"}, {"x": True, "file": "b.png"}]
    assert "table.csv: skipped the first column, which has no name" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na.png\n", "no row for 1 of 2 images, such as b.png"),
        ("file\na.png\nb.png\na.png\n", "several rows are of 'a.png'"),
        ("x\n1\n", "1 rows for 2 images, and no column with their names"),
        ("x,x\n1,1\n2,2\n", "several columns are called 'x'"),
        ("file,x\n1,1\n2,2\n", "column 'file' names none of the images, such as a.png"),
        ("image_id,x\nimg_b,1\nimg_a,2\n", "column 'image_id' names none of the images, such as a.png"),
        ("x,\n1,1\n2,2\n", "every column needs a name"),
        ("x/y\n1\n2\n", "every column needs a name without /"),
        ("a.png,1\nb.png,2\n", "its first line names an image; a header"),
        ("file,é\n".encode("latin-1"), "save it as CSV in UTF-8"),
        ("x,y\n1\n2\n", "line 2 does not have as many fields"),
        ("x\n", "0 rows for 2 images"),
        ("picture,x\nimg_b.png,1\nimg_a.png,2\n", "column 'picture' names none of the images, such as a.png"),
        ("id,x\n2,1\n1,2\n", "the numbers of column 'id' are neither those of the images nor in order"),
        ('label\n""\n""\n', "label '' must be the number of a class"),
        ("", "0 rows for 2 images"),
        ("\0", "table.csv"),
        (None, "not a file"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, text, message):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("L", (4, 4)).save(tmp_path / "in" / name)
    if text is None:
        os.mkfifo(tmp_path / "table.csv")
    else:
        (tmp_path / "table.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        build.run(source=tmp_path / "in", name="x", data_dir=tmp_path / "out", attributes=tmp_path / "table.csv")
    assert not list((tmp_path / "out").rglob("dataset_info.json"))


@pytest.mark.parametrize(("size", "shape"), [(None, (28, 28, 1)), (8, (8, 8, 1))])
def test_arrays_become_datasets(tmp_path, size, shape):
    images, labels = np.random.default_rng(0).integers(0, 256, (20, 784), np.uint8), np.arange(20) % 4
    np.savez(tmp_path / "some.npz", images=images, labels=labels)
    build.run(
        source=tmp_path / "some.npz", name="mine", data_dir=tmp_path / "out", size=size, splits="train:0.5,test:0.5"
    )
    loaded = [data.load("mine", split, data_dir=tmp_path / "out") for split in ("train", "test")]
    expected = images.reshape(20, 28, 28, 1)
    np.testing.assert_array_equal(np.concatenate(loaded), expected if size is None else data.resize(expected, size))
    assert loaded[0].shape == (10, *shape)
    assert data.load("mine", "test", feature="label", data_dir=tmp_path / "out").tolist() == (labels[10:]).tolist()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_pipes_and_devices_are_refused_at_once(tmp_path, make):
    make(tmp_path / "source")
    with pytest.raises(InputError, match="source: neither a folder nor a zip file"):
        build.run(source=tmp_path / "source", name="x", data_dir=tmp_path / "out")
    make(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(InputError, match="holds no images"):
        build.run(source=tmp_path, name="x", data_dir=tmp_path / "out")


def test_an_unwritable_folder_is_found_before_the_work(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("text")
    monkeypatch.setattr(build.ImageFiles, "read", lambda *_: pytest.fail("read images"))
    with pytest.raises(InputError, match=f"^data_dir={tmp_path}/file/out: is, or lies under, a file"):
        build.run(source=folder, name="x", data_dir=tmp_path / "file" / "out")


@pytest.mark.parametrize(("shape", "what"), [((20,), "labels"), ((20, 5, 7, 1), "colours"), ((0, 5, 7), "nothing")])
def test_idx_files_of_something_else_are_refused(tmp_path, shape, what):
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">i4").tobytes()
        (tmp_path / name).write_bytes(header + bytes(np.prod(shape)))
    with pytest.raises(InputError, match=r"images-idx3-ubyte: cannot be read as an IDX file \(its shape is") as caught:
        build.run(source=str(tmp_path), name="idx", data_dir=str(tmp_path / "out"))
    assert str(list(shape)) in str(caught.value)


def test_an_unreadable_file_is_named_and_leaves_nothing(folder, tmp_path):
    whole = (folder / "sub" / "f.JPG").read_bytes()
    (folder / "sub" / "f.JPG").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"pictures/sub/f.JPG: cannot be read as an image"):
        build.run(source=str(folder), name="pictures", data_dir=str(tmp_path / "out"), size=8)
    assert not list((tmp_path / "out").rglob("*.tfrecord*"))
    assert not list((tmp_path / "out").rglob("dataset_info.json"))
    (folder / "sub" / "f.JPG").write_bytes(whole)
    build.run(source=str(folder), name="pictures", data_dir=str(tmp_path / "out"), size=8)


def test_an_existing_dataset_is_not_overwritten(folder, tmp_path):
    arguments = dict(source=str(folder), name="pictures", data_dir=str(tmp_path / "out"), size=8)
    build.run(**arguments)
    with pytest.raises(InputError, match="exists already"):
        build.run(**arguments)


def test_a_full_disk_gets_one_line(folder, tmp_path, monkeypatch):
    def write(**arguments):
        raise RuntimeError("ResourceExhaustedError: Failed to finalize writing;\nNo space left on device")

    monkeypatch.setattr(tfds.dataset_builders, "store_as_tfds_dataset", write)
    with pytest.raises(InputError, match=r"pictures: cannot be written \(Res.* writing; No space left on device\)$"):
        build.run(source=str(folder), name="pictures", data_dir=str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source=nowhere", "--name=x"], "nowhere: no such file or folder"),
        (["--source=.", "--name=x"], "holds no images"),
        (["--source=broken.gz", "--name=x"], "neither a folder nor a zip file"),
        (["--source=.", "--name=Not-A-Name"], "--name=Not-A-Name"),
        (["--source=pictures", "--name=mnist"], "--name=mnist: is the name of a public dataset"),
        (["--source=pictures", "--name=emojione"], "--name=emojione: is the name of a dataset of this package"),
        (["--source=pictures", "--name=celeb_a"], "--name=celeb_a: is the name of a public dataset"),
        (["--source=pictures", "--name=x", "--splits=all:1"], "not 'all'"),
        (["--source=pictures", "--name=x", "--splits=train:0.5"], "must be positive and sum to 1"),
        (["--source=pictures", "--name=x", "--splits=train"], "write it as"),
        (["--source=pictures", "--name=x", "--attributes=short.csv"], "1 rows for 7 images"),
        (["--source=pictures", "--name=x", "--size=0"], "--size"),
        (["--name=x"], "--source"),
        (["pictures"], "unexpected argument 'pictures'"),
    ],
)
def test_bad_arguments_get_one_line(folder, tmp_path, arguments, message):
    (tmp_path / "broken.gz").write_bytes(b"not a gzip file")
    (tmp_path / "short.csv").write_text("a\n1\n")
    if "--source=." in arguments:
        folder.rename(tmp_path.parent / f"{tmp_path.name}_elsewhere")
    done = python_m("hw5.data.build", "--data_dir=out", *arguments, cwd=tmp_path)
    lines = [line for line in done.stderr.splitlines() if "images/s" not in line and line]
    assert done.returncode == 1, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert message in lines[0]
