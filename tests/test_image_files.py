"""The image files of folders and zip files: what is read, what is left out and said."""

import os
import stat
import zipfile

import numpy as np
import pytest
from images import tiff
from PIL import Image

from hw5.data.image_files import Files, ImageFiles, printable
from hw5.errors import InputError


def save(path, value=0, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), value).save(path, **how)


def test_every_suffix_that_pillow_reads_in_any_case_and_none(tmp_path):
    names = ["a.png", "b.PNG", "c.jfif", "d.ppm", "e.PGM", "f.webp", "g.tif", "h.TIFF", "i.avif", "j.Jp2", "k.bmp"]
    for value, name in enumerate(names):
        image = Image.new("L", (4, 4), 20 * value)
        image.save(tmp_path / name)
    save(tmp_path / "none", 220, format="PNG")
    save(tmp_path / "png.jpg", 230, format="PNG")  # the contents count
    (tmp_path / "README").write_text("not an image")
    files = ImageFiles(tmp_path)
    assert files.names == [*names, "none", "png.jpg"]
    for name, value in zip(files.names, [*range(0, 220, 20), 220, 230], strict=True):
        np.testing.assert_allclose(files.read(name, None, 1), np.full((4, 4, 1), value), atol=3)
    assert files.skipped == {"without a suffix": 1}


def test_what_follows_a_full_stop_may_be_no_suffix(tmp_path):
    for name in ("step1.0_img000", "img.001", "a.png"):
        Image.new("L", (4, 4)).save(tmp_path / name, "PNG")
    for number in range(20):
        (tmp_path / f"notes.{'abcdefghijklmnopqrst'[number]}x").write_text("text")
    files = ImageFiles(tmp_path)
    assert files.names == ["a.png", "img.001", "step1.0_img000"]
    assert files._listed("").count(",") == 10
    assert files._listed("").endswith(", …")


def test_what_is_left_out_is_counted_by_kind_and_said_once(tmp_path, capsys):
    save(tmp_path / "a.png")
    save(tmp_path / ".hidden.png")
    save(tmp_path / ".hidden" / "a.png")
    for name in ("a.txt", "b.txt", "c.heic2"):
        (tmp_path / name).write_text("text")
    (tmp_path / "dangling.png").symlink_to("nothing.png")
    (tmp_path / "itself.png").symlink_to("itself.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    files = ImageFiles(tmp_path)
    assert files.names == ["a.png"]
    expected = {"hidden": 2, ".txt": 2, ".heic2": 1, "dangling links": 2, "pipes or devices": 2}
    assert files.skipped == expected
    assert capsys.readouterr().err == ""
    for _ in range(2):
        files.read("a.png")
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"note: {tmp_path}: skipped ")
    for kind, count in expected.items():
        assert f"{count} {kind}" in said[0]


def test_that_only_the_first_image_of_a_file_is_taken_is_said_once(tmp_path, capsys):
    first, second = (Image.new("L", (4, 4), value) for value in (10, 20))
    for name in ("a.gif", "b.png", "c.tif", "d.webp"):
        first.save(tmp_path / name, save_all=True, append_images=[second])
    save(tmp_path / "e.png")
    files = ImageFiles(tmp_path)
    for name in files.names:
        files.read(name)
    assert capsys.readouterr().err.count("an animation or several pages, of which the first is taken") == 1
    ImageFiles(tmp_path).read("e.png")
    assert capsys.readouterr().err == ""


def test_the_folders_of_a_zip_file_from_windows(tmp_path):
    save(tmp_path / "a.png", 9)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("cats\\", b"")
        archive.write(tmp_path / "a.png", "cats\\a.png")
        archive.write(tmp_path / "a.png", "..\\b.png")
    files = ImageFiles(tmp_path / "a.zip")
    assert files.names == ["cats/a.png"]
    assert files.read("cats/a.png").mean() == 9
    assert files.skipped == {"outside of the archive": 1}


def test_linked_folders_are_followed_once_and_without_end(tmp_path):
    save(tmp_path / "elsewhere" / "deep" / "b.png")
    source = tmp_path / "source"
    save(source / "a.png")
    (source / "linked").symlink_to("../elsewhere")
    (source / "linked" / "deep" / "back").symlink_to(source)
    (source / "twice").symlink_to("../elsewhere/deep")
    (source / "a_link.png").symlink_to("a.png")
    files = ImageFiles(source)
    assert files.names == ["a.png", "a_link.png", "twice/b.png"]  # each folder by the first link that is met
    assert files.skipped == {"links to a folder that is read already": 2}


def test_zip_files(tmp_path, capsys):
    save(tmp_path / "a.png", 50)
    encoded = (tmp_path / "a.png").read_bytes()
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        for name in ("a.png", "sub/B.PNG", "none", "../c.png", "sub/../../d.png", "/e.png", "__MACOSX/._a.png"):
            archive.writestr(name, encoded)
        archive.writestr("images.png/", b"")
        archive.writestr("images.png/f.png", encoded)
        archive.writestr("notes.txt", b"text")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", encoded)
        link = zipfile.ZipInfo("link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "a.png")
    files = ImageFiles(tmp_path / "some.zip")
    assert files.names == ["a.png", "images.png/f.png", "none", "sub/B.PNG"]
    expected = {"outside of the archive": 3, "hidden": 1, ".txt": 1, "of the same name": 1, "links or devices": 1}
    assert files.skipped == expected
    np.testing.assert_array_equal(files.read("images.png/f.png"), np.full((4, 4, 1), 50))
    assert "some.zip: skipped 3 outside of the archive" in capsys.readouterr().err


def test_damaged_files_are_named(tmp_path):
    save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[:-20])
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "c\nd.png").write_text("text")
    files = ImageFiles(tmp_path)
    for name, message in {
        "a.png": "ends too early",
        "b.png": "not an image",
        "c\nd.png": r"c\\nd.png: .*not an image",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            files.read(name)
        assert "\n" not in str(caught.value)
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as archive:
        archive.writestr("a.png", whole)
    damaged = bytearray((tmp_path / "some.zip").read_bytes())
    damaged[60] ^= 1
    (tmp_path / "some.zip").write_bytes(damaged)
    with pytest.raises(InputError, match=r"some.zip:a.png: cannot be read as an image \(Bad CRC-32"):
        ImageFiles(tmp_path / "some.zip").read("a.png")


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("text"), os.mkfifo, lambda path: path.symlink_to("/dev/zero")]
)
def test_other_sources_are_refused_at_once(tmp_path, make):
    make(tmp_path / "source")
    with pytest.raises(InputError, match="source: neither a folder nor a zip file"):
        ImageFiles(tmp_path / "source")


def test_a_source_without_images_says_what_it_holds(tmp_path):
    (tmp_path / "a.heif2").write_text("text")
    with pytest.raises(InputError, match=r"holds no images that can be read \(skipped 1 .heif2\)"):
        ImageFiles(tmp_path)


def test_floats_of_a_folder_have_one_range(tmp_path):
    """A dark image of a folder with 0…255 is dark, although it alone would be read as 0…1."""
    dark, bright = np.full((4, 4), 0.5), np.linspace(0, 255, 16).reshape(4, 4)
    (tmp_path / "a.tif").write_bytes(tiff(dark, "f4", 1))
    (tmp_path / "b.tif").write_bytes(tiff(bright, "f4", 1))
    (tmp_path / "c.tif").write_bytes(tiff(np.full((4, 4), 200), "i4", 1))  # integers have their own
    files = ImageFiles(tmp_path)
    assert files.read("a.tif").max() == 0  # 0.5 of 255, rounded to even
    np.testing.assert_array_equal(files.read("b.tif")[..., 0], np.round(np.float32(bright)))
    assert files.read("c.tif").max() == 200
    (tmp_path / "b.tif").unlink()
    assert ImageFiles(tmp_path).read("a.tif").max() == 128
    (tmp_path / "d.tif").write_bytes(tiff(np.full((4, 4), -1.0), "f4", 1))
    with pytest.raises(InputError, match=f"{tmp_path}: float32 images: values from -1 to 0.5; black must be 0"):
        ImageFiles(tmp_path).read("a.tif")


def test_files_in_one_folder_alone(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "sub" / "b.png")
    assert Files(tmp_path, depth=0).names == ["a.png"]


def test_printable():
    assert printable("ä\n\x1b[1m\udcff") == r"ä\n\x1b[1m\udcff"


def test_a_zip_file_whose_directory_hides_entries_is_refused(tmp_path):
    """The length of an entry's comment can swallow the entries behind it, which zipfile does not notice."""
    path = tmp_path / "some.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.png", "b.png", "c.png"):
            archive.writestr(name, b"")
    whole = bytearray(path.read_bytes())
    entry = whole.index(b"PK\1\2")  # of the directory
    whole[entry + 32] = whole.index(b"PK\1\2", entry + 1) - entry  # as long as the next one
    path.write_bytes(whole)
    assert len(zipfile.ZipFile(path).namelist()) == 2
    with pytest.raises(InputError, match="2 of 3 entries in its directory"):
        Files(path)
