"""The single file of sheet 001: what it takes from the package, and that it trains alone."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import python_m

from hw5.errors import InputError
from hw5.homework.single_file import main, single_file

ROOT = Path(__file__).parents[1]
HOMEWORK = ROOT / "hw5" / "homework7.py"
MODULES = {
    "one.py": "from hw5.two import double\nfrom hw5.two import UNUSED\n\n\n# Why.\n@wraps\ndef used(x):\n"
    "    return double(x) + HALF\n\n\nHALF = 0.5\n\n\ndef other():\n    return used(1)\n",
    "two.py": "import math\nfrom math import pi, tau\n\nUNUSED = 0\nSCALE = math.floor(2 * pi) - 4  # is 2\n\n\n"
    "def double(x):\n    return SCALE * x\n",
    "root.py": '"""Doubles."""\n\nfrom hw5.one import used\n\nRESULT = used(3)\n',
}


@pytest.fixture
def package(tmp_path):
    """A small package, and the folder that holds it."""
    (tmp_path / "hw5").mkdir()
    for name, text in MODULES.items():
        (tmp_path / "hw5" / name).write_text(text.replace("@wraps\n", ""))
    return tmp_path


def test_what_is_used_is_copied_with_its_comments_and_runs(package):
    text = single_file(package / "hw5" / "root.py", package)
    assert text.startswith('"""Doubles."""\n\nimport math\nfrom math import pi\n\n# From hw5.two\n')
    assert text.index("# From hw5.two\n") < text.index("# From hw5.one\n") < text.index("# From hw5.root\n")
    assert "\n\n\n# Why.\ndef used(x):" in text
    assert "SCALE = math.floor(2 * pi) - 4  # is 2" in text
    assert not re.search("UNUSED|tau|other|hw5 import|import used", text)
    names = {}
    exec(text, names)
    assert names["RESULT"] == 6.5


def test_two_definitions_of_a_name_are_refused(package):
    (package / "hw5" / "root.py").write_text(MODULES["root.py"] + "\n\ndef double():\n    pass\n")
    with pytest.raises(InputError, match=r"double: is defined in .*root.py and in hw5.two; one file has one of a name"):
        single_file(package / "hw5" / "root.py", package)


def test_a_module_as_a_whole_is_refused(package):
    (package / "hw5" / "root.py").write_text('"""x"""\n\nfrom hw5 import one\n\nRESULT = one.used(3)\n')
    (package / "hw5" / "__init__.py").write_text("")
    with pytest.raises(InputError, match=r"hw5.one: is no definition; import functions and classes by their names"):
        single_file(package / "hw5" / "root.py", package)


def test_it_needs_tensorflow_and_numpy_alone():
    text = single_file(HOMEWORK, ROOT)
    imported = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
    assert imported - {"keras", "numpy", "tensorflow"} <= {"argparse", "collections", "gzip", "math", "pathlib"} | {
        "sys",
        "typing",
        "zlib",
    }
    assert len(text.splitlines()) < 400
    assert not re.search(r"^(from|import) hw5|replicas", text, re.MULTILINE)


def test_its_loss_is_that_of_section_4():
    import tensorflow as tf

    from hw5 import homework7, models, networks

    images = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
    epsilon = np.random.default_rng(1).standard_normal((5, 32)).astype(np.float32)
    pair = networks.tanh_vae()
    vae = models.VAE(*pair, kl_weight=3.0)
    posterior = vae.posterior(images)
    *log_terms, _ = vae.log_importance_terms(images, posterior, epsilon)
    terms, reconstruction, kl = vae.bound(posterior, *log_terms)
    loss, *parts = homework7.negative_elbo(*pair, images, epsilon, 3.0)
    np.testing.assert_allclose(loss, sum(terms), rtol=1e-6)
    np.testing.assert_allclose(parts, [tf.reduce_mean(reconstruction), tf.reduce_mean(kl)], rtol=1e-6)


def test_it_trains_without_the_package(tmp_path, digits):
    main(str(HOMEWORK), str(tmp_path / "homework7_ada.py"))
    np.save(tmp_path / "mnist_train_images.npy", digits[:300].reshape(300, 784) / 255)  # as of the earlier homework
    words = ["--steps=60", "--train_size=200", "--batch_size=50"]
    done = python_m("homework7_ada", *words, cwd=tmp_path, without=("hw5",))
    assert done.returncode == 0, done.stderr
    reconstructions = [float(value) for value in re.findall(r"reconstruction ([\d.]+)", done.stdout)]
    assert len(reconstructions) == 20
    assert reconstructions[-1] < 230 < 400 < reconstructions[0]  # 206 is the entropy of the mean image's pixels
    with Image.open(tmp_path / "homework7.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape == (3 * 32, 16 * 32)
    np.testing.assert_array_equal(pixels[2:30, 2:30], digits[0, ..., 0])  # the first existing image
    assert (pixels[32:].reshape(2, 32, -1).std(axis=(1, 2)) > 20).all()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "error: --data=FILE: name MNIST's training images; there is no mnist_train_images.npy and no mnist.npz"),
        (["--data=missing.npy"], "error: --data=missing.npy: holds no images of 28×28"),
        (["--data=labels.npz"], "error: --data=labels.npz: holds no images of 28×28 (no array is called train_images"),
        (["--data=text.gz"], "error: --data=text.gz: holds no images of 28×28 (text.gz: cannot be read as an IDX file"),
        (["--steps=0"], "error: --steps, --batch_size, --latent_dim and --train_size must be at least 1"),
    ],
)
def test_mistakes_are_one_line(tmp_path, words, message):
    main(str(HOMEWORK), str(tmp_path / "homework7_ada.py"))
    np.savez(tmp_path / "labels.npz", labels=np.zeros(3))
    (tmp_path / "text.gz").write_text("text")
    done = python_m("homework7_ada", *words, cwd=tmp_path, without=("hw5",))
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
