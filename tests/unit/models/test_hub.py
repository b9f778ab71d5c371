"""Weights from timm's hub, fetched through a loopback mirror with the hub's real layout."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

REPOSITORY = "timm/test_resnet.r160_in1k"
MODEL = "test_resnet.r160_in1k"

# Runs apart, since the hub's address is read from the environment when its library is imported.
SCRIPT = """
import sys, torch, safetensors.torch
from finecal.errors import UserError
from finecal.models.build import architecture, build, head, head_classes
backbone = {"model": "test_resnet.r160_in1k", "options": {}, "image_size": 32}
description = architecture(backbone, [str(c) for c in range(int(sys.argv[2]))], int(sys.argv[3]))
try:
    model = build(description, weights="hub")
except UserError as error:
    sys.exit(f"finecal: {error}")
published = safetensors.torch.load_file(sys.argv[1])
inner = "layer1.0.conv1.weight"
print("body equal:", torch.equal(model.state_dict()[inner], published[inner]))
weight, whole = head(model).weight, published["fc.weight"]
print("head equal:", weight.shape == whole.shape and torch.equal(weight, whole))
print("classes:", head(model).out_features, head_classes(model), "channels:", description.channels)
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the hub has it: the weights of timm's model with the head of ImageNet's 1,000 classes."""
    import safetensors.torch
    import timm

    path = tmp_path_factory.mktemp("hub") / "model.safetensors"
    safetensors.torch.save_file(timm.create_model("test_resnet", num_classes=1000).state_dict(), path)
    return path


@pytest.fixture
def hub(published: Path) -> Iterator[str]:
    """The address of a mirror that has this one file."""
    content = published.read_bytes()

    class Mirror(BaseHTTPRequestHandler):
        def _answer(self, body: bytes) -> None:
            found = self.path == f"/{REPOSITORY}/resolve/main/model.safetensors"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(content) if found else 0))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.end_headers()
            self.wfile.write(body if found else b"")

        def do_HEAD(self) -> None:
            self._answer(b"")

        def do_GET(self) -> None:
            self._answer(content)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fetch(address: str, cache: Path, published: Path, classes: int, channels: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-c", SCRIPT, str(published), str(classes), str(channels)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_weights_come_from_the_hub_and_the_head_stays_where_the_classes_fit(
    hub: str, tmp_path: Path, published: Path
) -> None:
    done = fetch(hub, tmp_path, published, 1000, 3)
    assert done.stdout.splitlines() == ["body equal: True", "head equal: True", "classes: 1000 1000 channels: 3"], done


@pytest.mark.slow
def test_other_classes_and_channels_get_a_new_head_on_the_same_body(hub: str, tmp_path: Path, published: Path) -> None:
    done = fetch(hub, tmp_path, published, 10, 1)
    assert done.stdout.splitlines() == ["body equal: True", "head equal: False", "classes: 10 1000 channels: 1"], done


@pytest.mark.slow
def test_a_hub_out_of_reach_is_one_clear_error(
    tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # NotCompared that there is no network, the hub's library gives up at once; else it tries for two minutes.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = fetch("http://127.0.0.1:9", tmp_path, published, 10, 3)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"finecal: pretraining.weights: the weights of '{MODEL}' could not be fetched ("
    )
    assert "fetch them before on one with network, into the same cache (HF_HOME)" in done.stderr


@pytest.mark.slow
def test_prefetch_fills_the_cache_that_jobs_without_network_read(hub: str, tmp_path: Path, published: Path) -> None:
    root = Path(__file__).parents[3]
    text = (root / "workflow" / "studies" / "digits.yaml").read_text("utf-8")
    (tmp_path / "study.yaml").write_text(
        text.replace("[test_resnet]", f"[{MODEL}]").replace("weights: random", "weights: hub"), "utf-8"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "finecal.cli", "prefetch", "study.yaml"]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout == f"{MODEL}: the hub's weights are in the cache\n", done.stderr
    offline = {**environment, "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    code = [sys.executable, "-c", SCRIPT, str(published), "10", "1"]
    again = subprocess.run(code, env=offline, capture_output=True, text=True, timeout=300, check=False)
    assert again.stdout.splitlines()[0] == "body equal: True", again.stderr
