"""docs/python.md: every line of the table gives what the peer gave (tests/reference/peers.json)."""
import importlib.util
import json
import math
import pathlib

import numpy as np
import pytest
import spheremix as sx
from support import close

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("peers", ROOT / "tests/reference/peers.py")
peers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(peers)
FIGURES = json.loads(peers.RECORD.read_text())["figures"]
TABLE = peers.table()
IDS = [there[:40] for _, there, *_ in TABLE]
X, Y, LABELS = np.array(peers.rows(0)), np.array(peers.rows(1)), np.array(peers.LABELS)


def tangent(g):
    return g - (g * X).sum(1, keepdims=True) * X


def test_every_peer_is_in_the_table():
    assert {row[0].split(" (")[0] for row in TABLE} == {"PyTorch", "open_clip", "pytorch-metric-learning", "lightly", "align_uniform"}
    assert set(FIGURES) == {row[1] for row in TABLE}


@pytest.mark.parametrize("row", TABLE, ids=IDS)
def test_arrays(row):
    scope = {"sx": sx, "math": math, "x": X, "y": Y, "labels": LABELS, "log_scale": peers.LOG_SCALE, "bias": peers.BIAS}
    want = FIGURES[row[1]]
    assert eval(row[3], scope) == pytest.approx(want["value"], rel=1e-9)
    name = row[3].split("(", 1)[0]
    g = eval(row[3].replace(name + "(", name + "_with_gradient("), scope)
    assert g[0] == pytest.approx(want["value"], rel=1e-9)
    if "(1)" not in row[0]:
        close(tangent(g.x), want["tangent_gradient"], 1e-8)


@pytest.mark.parametrize("row", TABLE, ids=IDS)
def test_tensors(row):
    pytest.importorskip("torch", reason="torch is not installed")
    import spheremix.torch as st

    want = FIGURES[row[1]]
    here = peers.measure(row[2], {"st": st})
    assert here["value"] == pytest.approx(want["value"], rel=1e-9)
    if "(1)" not in row[0]:
        close(here["tangent_gradient"], want["tangent_gradient"], 1e-8)
