"""Ray actors give the same bytes as this process, even when a node is lost."""

import re
import shutil
import tempfile
import threading
import time

import pytest

from synthpairs.runtime.engine.worker_pool import worker_pool
from synthpairs.runtime.settings import Runtime
from tests.generation.test_candidates import TEXTS, contents, made, use

pytest.importorskip("ray", reason="`pip install ray` for `engine: ray`")


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("127.0.0.1:9", OSError, r"Ray at 127.0.0.1:9: nobody answers \(.*refused\); is its head running"),
        ("somewhere", ValueError, r"runtime.yaml: address must be auto or HOST:PORT, got 'somewhere'"),
        ("ray://127.0.0.1:9", ValueError, r"address must be auto or HOST:PORT, got 'ray://127.0.0.1:9'"),
        ("127.0.0.1:99999", OSError, r"Ray at 127.0.0.1:99999: nobody answers"),
        ("auto", OSError, r"Ray at auto: .*; here: `ray start --head`, .* or runtime.yaml: address HOST:PORT"),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_an_error_at_once(monkeypatch, tmp_path, address, kind, message):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # without the address of a running cluster
    started = time.monotonic()
    with pytest.raises(kind, match=message), worker_pool(Runtime(engine="ray", address=address)):
        pass
    assert time.monotonic() - started < 30


@pytest.fixture
def cluster(monkeypatch):
    """Three nodes of one CPU each on this machine, for this test alone."""
    from ray.cluster_utils import Cluster

    from synthpairs.runtime.engine.ray_actors import LOOPBACK

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else Ray looks for a token in the home directory
    folder = tempfile.mkdtemp(prefix="ray")  # not in tmp_path: names of sockets must be short
    monkeypatch.setenv("RAY_TMPDIR", folder)
    here = {"num_cpus": 1, "node_ip_address": LOOPBACK}
    made = Cluster(initialize_head=True, head_node_args=here | {"include_dashboard": False})
    for _ in range(2):
        made.add_node(**here)
    yield made
    made.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_makes_the_same_bytes(cluster, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "here"))
    texts = [*TEXTS[:6], "bad egg", *TEXTS[6:]]
    settings = {"batch_size": 1, "max_failed_share": 0.1}
    made(tmp_path / "alone", texts, **settings)
    use(monkeypatch, tmp_path / "there", engine="ray", address=cluster.address)
    pieces = tmp_path / "there/.dvc/tmp/work/scribbles"

    def lose():
        while len(list(pieces.glob("*/*/*.tar"))) < 8:
            time.sleep(0.01)
        cluster.remove_node(sorted(cluster.worker_nodes, key=id)[0], allow_graceful=False)

    loss = threading.Thread(target=lose)
    loss.start()
    made(tmp_path / "cluster", texts, seconds=0.5, **settings)
    loss.join()
    assert re.search(r"worker \d ended \(Actor(Died|Unavailable)Error", caplog.text)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "alone")
