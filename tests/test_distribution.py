"""Strategies by name, and what is wrong with a description of a cluster; clusters themselves are in test_cluster.py."""

import json

import pytest

from hw5 import training
from hw5.errors import InputError

TWO = ("127.0.0.1:4001", "127.0.0.1:4002")


def tf_config(cluster=None, task=None):
    return json.dumps({"cluster": cluster or {"worker": TWO}, "task": task or {"type": "worker", "index": 0}})


def test_no_strategy_whatever_the_environment_says_of_a_cluster(monkeypatch):
    for text in (tf_config(), "{", ""):  # of another program
        monkeypatch.setenv("TF_CONFIG", text)
        assert training.make_strategy("none") is None
        assert training.is_chief(None)
    assert "CPU" in training.devices(None) or "GPU" in training.devices(None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(name="none", workers=TWO, task=0), "workers=127.0.0.1:4001,127.0.0.1:4002: is for strategy=multiworker"),
        (dict(name="mirrored", task=1), "task=1: is for strategy=multiworker"),
        (dict(name="multiworker", workers=TWO), "belong together"),
        (dict(name="multiworker", task=0), "belong together"),
        (dict(name="multiworker", workers=TWO, task=2), "task=2: must be 0 to 1"),
        (dict(name="multiworker", workers=TWO, task=-1), "task=-1: must be 0 to 1"),
        (dict(name="multiworker", workers=("127.0.0.1", TWO[0]), task=0), "workers=127.0.0.1: must be HOST:PORT"),
        (dict(name="multiworker", workers=("a:0",), task=0), "workers=a:0: must be HOST:PORT"),
        (dict(name="multiworker", workers=("a:70000",), task=0), "workers=a:70000: must be HOST:PORT"),
        (dict(name="multiworker", workers=("http://a:80",), task=0), "must be HOST:PORT"),
        (dict(name="multiworker", workers=(TWO[0], TWO[0]), task=0), "is named twice"),
    ],
)
def test_mistakes_in_the_arguments(arguments, message, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match=message):
        training.make_strategy(**arguments)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        "{}",
        '{"cluster": {"worker": ["127.0.0.1:4001"]}}',
        tf_config(task={"type": "worker", "index": 2}),
        tf_config(task={"type": "worker", "index": -1}),
        tf_config(task={"type": "worker", "index": "x"}),
        tf_config(task={"type": "ps", "index": 0}),
        tf_config(task={"type": "evaluator", "index": 0}),
        tf_config(cluster={"worker": TWO, "ps": ["127.0.0.1:4003"]}),
        tf_config(cluster={"worker": [1, 2]}),
        tf_config(cluster={"worker": ["127.0.0.1"]}),
        tf_config(cluster={"chief": [TWO[0]], "worker": TWO}),
    ],
)
def test_mistakes_in_the_environment(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG: "):
        training.make_strategy("multiworker")


def test_a_cluster_needs_a_description(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match=r"needs workers=HOST:PORT,HOST:PORT and task=0, or TF_CONFIG"):
        training.make_strategy("multiworker")


def test_one_device_is_not_mirrored():
    with pytest.raises(InputError, match="strategy=mirrored: needs several GPUs"):
        training.make_strategy("mirrored")
