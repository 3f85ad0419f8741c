import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import reload
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

import pytest

from attnviz.errors import ModelError
from attnviz.models.hub import cached, locate, weight_files
from attnviz.models.hub.folder import no_safetensors
from attnviz.models.loading import DEFAULT, Loading

NAME = "org/tiny.model-1"
OLD, NEW = "a" * 40, "b" * 40
OFFLINE = Loading(offline=True)

MODEL = {"config.json": b"{}", "tokenizer.json": b"{ }", "model.safetensors": b"weights"}
ADAPTER = {
    "adapter_config.json": b'{"peft_type": "LORA", "base_model_name_or_path": "meta-llama/Llama-3"}',
    "adapter_model.safetensors": b"an adapter",
}
SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]


def index(*shards: object) -> bytes:
    return json.dumps({"weight_map": {f"layer.{number}": shard for number, shard in enumerate(shards)}}).encode()


SHARDED = {
    "config.json": b"{}",
    "vocab.txt": b"[CLS]",
    "model.safetensors.index.json": index(*reversed(SHARDS), SHARDS[1]),
    **{shard: shard.encode() for shard in SHARDS},
}


def without(files: dict[str, bytes], *names: str) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name not in names}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# A folder of files


def test_the_one_file_of_weights_goes_before_an_index(tmp_path):
    folder = write(tmp_path, SHARDED | MODEL)
    assert weight_files(folder) == [folder / "model.safetensors"]


def test_the_shards_of_an_index_come_once_each_in_the_order_of_their_names(tmp_path):
    folder = write(tmp_path, SHARDED)
    assert weight_files(folder) == [folder / shard for shard in SHARDS]


def test_a_missing_shard_is_named(tmp_path):
    folder = write(tmp_path, without(SHARDED, SHARDS[1]))
    with pytest.raises(ModelError, match=f"lacks {SHARDS[1]} of the 3 files"):
        weight_files(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"weight_map": 1}',
        b'{"weight_map": ["model.safetensors"]}',
        b'{"weight_map": {}}',
        b'{"weight_map": {"a": [], "b": 1}}',
        b"[" * 100_000,
    ],
    ids=lambda content: repr(content[:20]),
)
def test_an_index_that_is_none_is_said_to_be_so(tmp_path, content):
    folder = write(tmp_path, {"model.safetensors.index.json": content})
    with pytest.raises(ModelError, match=r"model\.safetensors\.index\.json (does not say which|names no) files"):
        weight_files(folder)


@pytest.mark.parametrize(
    "shard",
    [
        "../model.safetensors",
        "/model.safetensors",
        "original/model.safetensors",
        "..\\model.safetensors",
        "C:model.safetensors",
        "..",
        "",
        "pytorch_model.bin",
        3,
    ],
)
def test_an_index_that_leads_elsewhere_or_to_a_pickle_is_refused(tmp_path, shard):
    folder = write(tmp_path / "model", {"model.safetensors.index.json": index(shard), "pytorch_model.bin": b"pickle"})
    write(tmp_path, {"model.safetensors": b"not of this model"})
    write(folder / "original", {"model.safetensors": b"not of this model"})
    with pytest.raises(ModelError, match="refused"):
        weight_files(folder)


def test_weights_that_are_no_safetensors_are_named(tmp_path):
    folder = write(tmp_path, without(MODEL, "model.safetensors") | {"pytorch_model.bin": b"", "tf_model.h5": b""})
    with pytest.raises(ModelError, match=r"has no model\.safetensors, only pytorch_model\.bin, tf_model\.h5\."):
        weight_files(folder)


def test_a_folder_without_any_weights_is_said_to_have_none(tmp_path):
    with pytest.raises(ModelError, match=r"has no model\.safetensors\. "):
        weight_files(write(tmp_path, {"config.json": b"{}"}))


@pytest.mark.parametrize("variant", ["fp16", "bf16"])
def test_a_variant_of_the_weights_is_read_where_there_is_no_other(tmp_path, variant):
    folder = write(tmp_path / "one", {f"model.{variant}.safetensors": b""})
    assert weight_files(folder) == [folder / f"model.{variant}.safetensors"]
    shard = f"model.{variant}-00001-of-00001.safetensors"
    sharded = write(tmp_path / "shards", {f"model.safetensors.index.{variant}.json": index(shard), shard: b""})
    assert weight_files(sharded) == [sharded / shard]
    both = write(tmp_path / "both", MODEL | {f"model.{variant}.safetensors": b""})
    assert weight_files(both) == [both / "model.safetensors"]


def test_of_several_variants_none_is_chosen_without_being_asked(tmp_path):
    folder = write(tmp_path, {"model.fp16.safetensors": b"", "model.safetensors.index.int8.json": b""})
    with pytest.raises(ModelError, match=r"several variants .*model\.fp16\.safetensors, .*int8\.json.*: copy one"):
        weight_files(folder)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["consolidated.safetensors"], r"only consolidated\.safetensors\. .*rename the file"),
        (["tiny.Q4_K_M.gguf"], r"only tiny\.Q4_K_M\.gguf\. GGUF files are made .* take the model that they were made"),
        (["pytorch_model.bin"], r"only pytorch_model\.bin\. .*a pickle could run code: .*save_pretrained"),
        (["model.pt", "original/model.safetensors"], r"a pickle could run code"),
    ],
)
def test_what_to_do_depends_on_what_is_there(names, message):
    with pytest.raises(ModelError, match=message):
        raise no_safetensors("tiny", names)


# Names of folders


def test_a_folder_with_a_config_is_the_model_however_it_is_written(tmp_path, monkeypatch):
    folder = write(tmp_path / "mine", MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("mine", "mine/", "./mine", "~/mine", "../" + tmp_path.name + "/mine", str(folder)):
        assert locate(name, DEFAULT).resolve() == folder


def test_a_folder_here_goes_before_the_model_of_that_name_on_the_hub(tmp_path, monkeypatch, cache):
    cache.add(NAME, {NEW: MODEL}, main=NEW)
    folder = write(tmp_path / NAME, MODEL)
    monkeypatch.chdir(tmp_path)
    assert locate(NAME, DEFAULT).resolve() == folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty", r"The folder 'empty' here holds no config\.json: give a folder that holds"),
        (
            "gguf",
            r"The folder 'gguf' here holds no config\.json, only tiny\.gguf: give a folder .*\. GGUF files are made",
        ),
        ("some.gguf", r"'some\.gguf' is a file: give a folder .*\. GGUF files are made"),
        ("adapter", r"adapter holds only an adapter \(LORA\) of meta-llama/Llama-3, and no model: put adapter_config"),
        ("nameless", r"nameless holds only an adapter \(None\) of a model that it does not name, and no model"),
        ("./nowhere", "There is no folder 'nowhere'"),
        ("../nowhere", "There is no folder '../nowhere'"),
        ("/nowhere/at/all", "There is no folder '/nowhere/at/all'"),
        ("~/nowhere", "There is no folder '.*/nowhere'"),
        ("weights.safetensors", r"'weights\.safetensors' is a file: give a folder"),
        ("~no-such-user/model", "home folder of a user who does not exist"),
        ("n" * 5000, "cannot be opened as a folder: File name too long"),
    ],
)
def test_a_folder_that_is_no_model_is_said_to_be_so(tmp_path, monkeypatch, name, message):
    (tmp_path / "empty").mkdir()
    write(tmp_path, {"weights.safetensors": b"", "some.gguf": b""})
    write(tmp_path / "gguf", {"tiny.gguf": b""})
    write(tmp_path / "adapter", ADAPTER)
    write(tmp_path / "nameless", {"adapter_config.json": b"{}"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=message):
        locate(name, DEFAULT)


@pytest.mark.parametrize(
    "name", ["", " ", "no such model!!", "a/b/c", "a//b", "-x", "x..y", "naïve", "\x1b[31mred", "nul\0", "half\ud800"]
)
def test_a_name_that_no_model_can_have_is_said_to_be_so(name, cache):
    with pytest.raises(ModelError, match="neither a folder here nor a name") as caught:
        locate(name, DEFAULT)
    assert str(caught.value).isprintable()


# The cache


class Cache:
    """A cache as the hub's client writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, commits: dict[str, dict[str, bytes]], kind: str = "models", **refs: str) -> Path:
        repository = self.folder / f"{kind}--{name.replace('/', '--')}"
        for commit, files in commits.items():
            snapshot = repository / "snapshots" / commit
            snapshot.mkdir(parents=True)
            for file, content in files.items():
                blob = sha1(content).hexdigest()
                write(repository / "blobs", {blob: content})
                (snapshot / file).symlink_to(Path("../../blobs") / blob)
        write(repository / "refs", {ref: commit.encode() for ref, commit in refs.items()})
        return repository / "snapshots"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """An empty cache, and no network at all."""
    from huggingface_hub import constants

    def connect(*address: Any) -> None:
        raise AssertionError(f"asked for {address}")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.getaddrinfo", connect)
    monkeypatch.setattr("socket.socket.connect", connect)
    return Cache(tmp_path / "hub")


@pytest.mark.parametrize("files", [MODEL, SHARDED], ids=["one file", "shards"])
@pytest.mark.parametrize("offline", [True, False])
def test_a_model_in_the_cache_is_used_without_a_request(cache, files, offline):
    snapshots = cache.add(NAME, {NEW: files}, main=NEW)
    assert locate(NAME, Loading(offline=offline)) == snapshots / NEW


@pytest.mark.parametrize(
    ("revision", "commit"), [(None, NEW), ("main", NEW), ("v1", OLD), (OLD, OLD), (NEW, NEW)], ids=str
)
def test_the_revision_asked_for_is_the_one_used(cache, revision, commit):
    snapshots = cache.add(NAME, {OLD: MODEL, NEW: MODEL}, main=NEW, v1=OLD)
    assert locate(NAME, Loading(revision=revision)) == snapshots / commit


@pytest.mark.parametrize(
    "files",
    [
        {},
        without(MODEL, "config.json"),
        without(MODEL, "tokenizer.json"),
        without(MODEL, "model.safetensors"),
        without(MODEL, "model.safetensors") | {"pytorch_model.bin": b"pickle"},
        without(SHARDED, SHARDS[2]),
        SHARDED | {"model.safetensors.index.json": index("../../../../model.safetensors")},
    ],
)
def test_offline_a_model_of_which_something_is_missing_is_not_had(cache, tmp_path, files):
    cache.add(NAME, {NEW: files}, main=NEW)
    with pytest.raises(ModelError, match=f"{NAME} is not, or not wholly, in the hub's cache \\({tmp_path}/hub\\)"):
        locate(NAME, OFFLINE)


def test_offline_a_revision_that_is_not_there_is_not_had(cache):
    cache.add(NAME, {NEW: MODEL}, main=NEW)
    with pytest.raises(ModelError, match="Leave out `offline`"):
        locate(NAME, Loading(offline=True, revision="v2"))


def test_weights_whose_file_is_gone_are_not_there(cache):
    snapshots = cache.add(NAME, {NEW: MODEL}, main=NEW)
    (snapshots / NEW / "model.safetensors").resolve().unlink()
    with pytest.raises(ModelError, match="not wholly"):
        locate(NAME, OFFLINE)


def test_code_of_the_models_own_is_missed_only_where_it_is_trusted(cache):
    own = MODEL | {"config.json": b'{"auto_map": {"AutoModel": "modeling_own.Own"}}'}
    snapshots = cache.add(NAME, {NEW: own}, main=NEW)
    trusting = Loading(offline=True, trust_remote_code=True)
    assert locate(NAME, OFFLINE) == snapshots / NEW
    with pytest.raises(ModelError, match="not wholly"):
        locate(NAME, trusting)
    write(snapshots / NEW, {"modeling_own.py": b""})
    assert locate(NAME, trusting) == snapshots / NEW


@pytest.mark.parametrize("ask", [lambda: locate(NAME, OFFLINE), cached], ids=["locate", "cached"])
def test_a_cache_that_cannot_be_read_is_said_to_be_so(cache, ask):
    (cache.add(NAME, {NEW: MODEL}, main=NEW).parent / "refs" / "main").write_bytes(b"\xff")
    with pytest.raises(ModelError, match=r"cache .* cannot be read: .* set HF_HOME"):
        ask()


def test_without_a_cache_nothing_is_listed(cache):
    assert cached() == []


def test_the_models_of_the_cache_are_listed_by_name_with_their_size(cache):
    cache.add(NAME, {NEW: MODEL}, main=NEW)
    cache.add("gpt3", {NEW: without(SHARDED, SHARDS[0])}, main=NEW)
    cache.add("words/all", {NEW: MODEL}, kind="datasets", main=NEW)
    cache.add("only/weights", {NEW: without(MODEL, "config.json")}, main=NEW)
    cache.add("corrupt/one", {NEW: MODEL}, main=OLD)
    write(cache.folder, {"models--a--file": b""})
    sharded, whole = cached()
    assert (sharded.name, sharded.complete) == ("gpt3", False)
    assert (whole.name, whole.complete) == (NAME, True)
    assert whole.size == sum(map(len, MODEL.values()))


@pytest.mark.parametrize(
    ("refs", "revision", "commit"),
    [
        ({"main": OLD, "v1": NEW}, None, OLD),
        ({"v1": OLD, "v3": NEW, "v2": NEW}, "v2", NEW),
        ({"v1": OLD}, NEW, NEW),
    ],
)
def test_of_several_revisions_what_the_name_means_is_listed_or_else_the_newest(cache, refs, revision, commit):
    newer = MODEL | {"model.safetensors": b"newer weights"}
    snapshots = cache.add(NAME, {OLD: MODEL, NEW: newer}, **refs)
    os.utime(snapshots / NEW / "model.safetensors", (2**32, 2**32))
    (model,) = cached()
    assert (model.revision, model.folder, model.complete) == (revision, snapshots / commit, True)
    assert locate(model.name, Loading(offline=True, revision=model.revision)) == model.folder


# Downloading


@dataclass
class Repository:
    """A model on the hub: the files of its commits, and the branches and tags that name them."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=lambda: {NEW: ON_THE_HUB})
    refs: dict[str, str] = field(default_factory=lambda: {"main": NEW})


ON_THE_HUB = MODEL | {
    "vocab.json": b"{  }",
    "merges.txt": b"#version: 0.2",
    "source.spm": b"pieces",
    "spiece.model": b"more pieces",
    "modeling_own.py": b"raise SystemExit('run')",
    "pytorch_model.bin": b"a pickle",
    "flax_model.msgpack": b"flax",
    "tf_model.h5": b"tensors",
    "training_args.pt": b"another pickle",
    "model.onnx": b"graph",
    "README.md": b"# words",
    "onnx/config.json": b"{}",
    "original/model.safetensors": b"other weights",
}
WANTED = {
    "config.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "source.spm",
    "spiece.model",
    "model.safetensors",
}

Answer = Callable[["Handler"], None]


class Hub(ThreadingHTTPServer):
    """What the hub's client needs of the hub, with every request noted; `answers` go before it where a path ends so."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories = {NAME: Repository()}
        self.answers: dict[tuple[str, str], Answer] = {}
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.stopped = threading.Event()

    @property
    def fetched(self) -> list[str]:
        """The names of the files that were fetched, in order."""
        return [
            path.split("/resolve/")[1].partition("/")[2]
            for method, path in self.requests
            if method == "GET" and "/resolve/" in path
        ]


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        path = unquote(self.path)
        self.server.requests.append((self.command, path))
        self.server.headers.append(dict(self.headers))
        for (method, end), answer in list(self.server.answers.items()):
            if method == self.command and path.endswith(end):
                return answer(self)
        if path.startswith("/api/models/"):
            name, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            return self.listing(name, revision or "main")
        name, _, rest = path[1:].partition("/resolve/")
        return self.file(name, *rest.split("/", 1)) if rest else self.answer(404)

    do_HEAD = do_GET  # noqa: N815 - the names that BaseHTTPRequestHandler calls

    def listing(self, name: str, revision: str) -> None:
        commit, files = self.commit(name, revision)
        if commit:
            listed = {"id": name, "sha": commit, "siblings": [{"rfilename": file} for file in files]}
            self.answer(200, json.dumps(listed).encode())

    def file(self, name: str, revision: str, file: str) -> None:
        commit, files = self.commit(name, revision)
        if commit and file in files:
            self.answer(200, files[file], **file_headers(commit, files[file]))
        elif commit:
            self.answer(404, **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})

    def commit(self, name: str, revision: str) -> tuple[str, dict[str, bytes]]:
        """The commit that a revision names, and its files; none of both once an error has been answered."""
        repository = self.server.repositories.get(name)
        if repository is None:
            self.answer(404, **{"X-Error-Code": "RepoNotFound"})
            return "", {}
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            self.answer(404, **{"X-Error-Code": "RevisionNotFound"})
            return "", {}
        return commit, repository.commits[commit]

    def answer(self, status: int, content: bytes = b"", /, **headers: str) -> None:
        self.send_response(status)
        for header, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(header, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


def file_headers(commit: str, content: bytes) -> dict[str, str]:
    return {"ETag": f'"{sha1(content).hexdigest()}"', "X-Repo-Commit": commit}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


ASK = """
import json, sys, time
time.sleep = lambda seconds: None  # between one try and the next
from attnviz.errors import ModelError
from attnviz.models.hub import locate
from attnviz.models.loading import Loading
try:
    print(locate(sys.argv[1], Loading(**json.loads(sys.argv[2]))))
except ModelError as error:
    sys.exit(f"ModelError: {error}")
"""


class Machine:
    """A machine with a cache of its own; what is asked there begins with a client of the hub that knows nothing."""

    def __init__(self, home: Path, hub: Hub, printed: pytest.CaptureFixture[str]) -> None:
        self.cache, self.printed = home / "hub", printed
        self.environment = os.environ | {
            "HF_HOME": str(home),
            "HF_ENDPOINT": hub.url,
            "HF_HUB_ETAG_TIMEOUT": "2",
            "HF_HUB_DOWNLOAD_TIMEOUT": "2",
            "NO_PROXY": "127.0.0.1",
        }

    def start(
        self, name: str = NAME, before: str = "", /, stderr: int = subprocess.PIPE, **loading: object
    ) -> "subprocess.Popen[str]":
        """Ask in a process of its own."""
        command = [sys.executable, "-W", "error", "-c", before + ASK, name, json.dumps(loading)]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, stderr=stderr, text=True)

    def folder(self, name: str = NAME, **loading: Any) -> Path:
        """Return where the model is; nothing is printed of that."""
        with self._entered():
            folder = locate(name, Loading(**loading))
        assert self.printed.readouterr() == ("", "")
        return folder

    def error(self, name: str = NAME, **loading: Any) -> str:
        """Return the message of the error that it ends in, after whatever the hub's client had to say of its tries."""
        with self._entered(), pytest.raises(ModelError) as caught:
            locate(name, Loading(**loading))
        assert self.printed.readouterr().out == ""
        return str(caught.value)

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Be on this machine: the hub's client reads the environment anew, connects anew, never waits."""
        from huggingface_hub import close_session, constants

        try:
            with patch.dict(os.environ, self.environment, clear=True), patch.dict(vars(constants)), patch("time.sleep"):
                close_session()
                reload(constants)
                yield
        finally:
            close_session()


@pytest.fixture
def machine(tmp_path: Path, hub: Hub, capsys: pytest.CaptureFixture[str]) -> Machine:
    return Machine(tmp_path / "home", hub, capsys)


def test_what_it_takes_to_run_a_model_is_fetched_and_no_more(hub, machine):
    folder = machine.folder()
    assert contents(folder) == {name: ON_THE_HUB[name] for name in WANTED}
    assert sorted(hub.fetched) == sorted(WANTED)
    assert hub.fetched[-1] == "model.safetensors"


def test_what_was_downloaded_is_used_without_a_request(hub, machine):
    folder = machine.folder()
    hub.requests.clear()
    assert machine.folder() == machine.folder(offline=True) == folder
    assert hub.requests == []


def test_shards_are_fetched_as_their_index_names_them(hub, machine):
    hub.repositories[NAME].commits[NEW] = SHARDED | {"model-00004-of-00003.safetensors": b"left over"}
    folder = machine.folder()
    assert contents(folder) == SHARDED
    assert hub.fetched[-3:] == SHARDS


def test_a_variant_is_fetched_where_there_is_no_other(hub, machine):
    hub.repositories[NAME].commits[NEW] = without(MODEL, "model.safetensors") | {"model.fp16.safetensors": b"half"}
    assert contents(machine.folder()) == hub.repositories[NAME].commits[NEW]
    hub.requests.clear()
    machine.folder()
    assert hub.requests == []


def test_an_adapter_is_fetched_with_the_model_beside_it(hub, machine):
    hub.repositories[NAME].commits[NEW] = MODEL | ADAPTER | {"adapter_model.bin": b"a pickle"}
    assert contents(machine.folder()) == MODEL | ADAPTER


def test_an_adapter_without_a_model_says_whose_it_is(hub, machine):
    hub.repositories[NAME].commits[NEW] = ADAPTER
    assert f"{NAME} holds only an adapter (LORA) of meta-llama/Llama-3, and no model" in machine.error()
    assert hub.fetched == ["adapter_config.json"]


def test_code_of_the_models_own_is_fetched_only_where_it_is_trusted(hub, machine):
    hub.repositories[NAME].commits[NEW] = ON_THE_HUB | {"config.json": b'{"auto_map": {}}'}
    assert "modeling_own.py" not in contents(machine.folder())
    hub.requests.clear()
    assert contents(machine.folder(trust_remote_code=True)).keys() == WANTED | {"modeling_own.py"}
    assert hub.fetched == ["modeling_own.py"]


@pytest.mark.parametrize(("revision", "commit"), [("v1", OLD), (OLD, OLD), ("main", NEW)])
def test_the_revision_asked_for_is_the_one_fetched(hub, machine, revision, commit):
    old = MODEL | {"model.safetensors": b"older weights"}
    hub.repositories[NAME] = Repository({OLD: old, NEW: MODEL}, {"main": NEW, "v1": OLD})
    folder = machine.folder(revision=revision)
    assert contents(folder) == (old if commit == OLD else MODEL)
    assert machine.folder(revision=revision, offline=True) == folder


def test_all_files_are_of_one_commit_though_the_branch_moves_on(hub, machine):
    old = MODEL | {"model.safetensors": b"older weights"}
    repository = hub.repositories[NAME] = Repository({OLD: old, NEW: MODEL}, {"main": OLD})

    def moves_on(handler: Handler) -> None:
        repository.refs["main"] = NEW
        handler.file(NAME, OLD, "config.json")

    hub.answers["GET", "/config.json"] = moves_on
    assert contents(machine.folder()) == old


def test_requests_carry_the_users_token_and_nothing_about_the_machine(hub, machine):
    machine.environment |= {"HF_TOKEN": "hf_secret", "AI_AGENT": "one"}
    process = machine.start()
    _, said = process.communicate(timeout=600)
    assert (process.returncode, said) == (0, "")
    assert {headers.get("authorization") for headers in hub.headers} == {"Bearer hf_secret"}
    assert not any("torch" in headers["user-agent"] or "agent/" in headers["user-agent"] for headers in hub.headers)
    assert all(NAME in path for _, path in hub.requests)


def test_progress_is_shown_on_a_terminal_beside_what_is_printed(machine):
    terminal, inside = pty.openpty()
    termios.tcsetwinsize(inside, (23, 101))
    process = machine.start(stderr=inside)
    os.close(inside)
    out, _ = process.communicate(timeout=600)
    assert Path(out.strip()).name == NEW
    assert b"model.safetensors" in os.read(terminal, 100_000)
    os.close(terminal)


def status(code: int, /, content: bytes = b"", **headers: str) -> Answer:
    return lambda handler: handler.answer(code, content, **headers)


def drop(handler: Handler) -> None:
    handler.close_connection = True


def keep_silent(handler: Handler) -> None:
    handler.server.stopped.wait()


def hang_up_midway(handler: Handler) -> None:
    handler.answer(200, b"wei", **{"Content-Length": "7"} | file_headers(NEW, b"weights"))


LISTING, CONFIG, WEIGHTS = ("GET", f"/api/models/{NAME}"), ("HEAD", "/config.json"), ("GET", "/model.safetensors")


@pytest.mark.parametrize(
    ("at", "answer", "message"),
    [
        (
            CONFIG,
            status(403, **{"X-Error-Code": "GatedRepo"}),
            f"{NAME} is gated: ask for access at HUB/{NAME}, then log",
        ),
        (CONFIG, status(401, **{"X-Error-Code": "GatedRepo"}), f"{NAME} is gated: "),
        (
            LISTING,
            status(401, **{"X-Error-Code": "RepoNotFound"}),
            f"The hub has no model '{NAME}', or a private one: ",
        ),
        (
            LISTING,
            status(401, **{"X-Error-Message": "Bad token"}),
            f"The hub answers '401 Unauthorized Bad token' when asked for {NAME}: log in",
        ),
        (LISTING, status(403, b'{"error": "\\u001b[2J"}'), "The hub answers '403 Forbidden ␛[2J' when"),
        (LISTING, status(503), f"The hub answers '503 Service Unavailable' when asked for {NAME}: try again later."),
        (WEIGHTS, status(500), "The hub answers '500 Internal Server Error' when"),
        (LISTING, status(200, b"<html>Log in to the airport</html>"), "could not be downloaded from HUB ("),
        (LISTING, drop, "could not be downloaded from HUB (Server disconnected"),
        (LISTING, keep_silent, "could not be downloaded from HUB (timed out): check the network and HTTPS_PROXY"),
        (CONFIG, drop, "could not be downloaded from HUB (Server disconnected"),
        (WEIGHTS, hang_up_midway, "could not be downloaded from HUB ("),
    ],
)
def test_a_download_that_fails_says_why_and_what_to_do_and_can_be_done_again(hub, machine, at, answer, message):
    hub.answers[at] = answer
    said = machine.error()
    assert message.replace("HUB", hub.url) in said
    assert said.isprintable()
    hub.answers.clear()
    assert contents(machine.folder()).keys() == WANTED


def test_a_model_that_the_hub_has_not_is_said_to_be_missing(machine):
    assert machine.error("no/such-model").startswith("The hub has no model 'no/such-model', or a private one: check")


def test_a_revision_that_the_model_has_not_is_said_to_be_missing(hub, machine):
    said = machine.error(revision="v2")
    assert said == f"{NAME} has no revision 'v2': take a branch, tag or commit listed at {hub.url}/{NAME}."


@pytest.mark.parametrize("proxy", [False, True])
def test_without_a_network_a_model_that_is_here_works_and_the_message_says_so(machine, proxy):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        nowhere = f"http://127.0.0.1:{closed.server_port}"
    machine.folder()
    machine.environment |= {"HTTP_PROXY": nowhere, "NO_PROXY": ""} if proxy else {"HF_ENDPOINT": nowhere}
    machine.folder()
    assert machine.error("org/other").endswith("A model that has been downloaded works without.")


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_the_variables_that_forbid_the_network_are_obeyed(hub, machine, variable):
    machine.environment[variable] = "1"
    assert f"in the hub's cache ({machine.cache})" in machine.error()
    assert hub.requests == []


def test_a_model_of_pickles_is_refused_before_anything_is_fetched(hub, machine):
    hub.repositories[NAME].commits[NEW] = without(ON_THE_HUB, "model.safetensors")
    said = machine.error()
    assert (
        f"{NAME} has no model.safetensors, only flax_model.msgpack, model.onnx, original/model.safetensors and 3 more."
        in said
    )
    assert hub.fetched == []


def test_what_is_no_model_is_refused_before_anything_is_fetched(hub, machine):
    hub.repositories[NAME].commits[NEW] = without(MODEL, "config.json")
    assert machine.error().startswith(f"{NAME} has no config.json on the hub")
    assert hub.fetched == []


def test_nothing_is_fetched_that_an_index_names_elsewhere(hub, machine):
    hub.repositories[NAME].commits[NEW] = SHARDED | {"model.safetensors.index.json": index("../../../m.safetensors")}
    assert "is refused, because it names ../../../m.safetensors" in machine.error()
    assert sorted(hub.fetched) == ["config.json", "model.safetensors.index.json", "vocab.txt"]


FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"


def test_a_disk_that_takes_no_more_is_said_to_be_full_and_leaves_nothing_behind(hub, machine):
    large = b"0123456" * 1009
    hub.repositories[NAME].commits[NEW] = MODEL | {"model.safetensors": large}
    process = machine.start(NAME, FULL)
    out, said = process.communicate(timeout=600)
    assert (process.returncode, out) == (1, "")
    assert "Traceback" not in said
    assert (
        f"ModelError: {NAME} cannot be written to the hub's cache ({machine.cache}): [Errno 27] File too large" in said
    )
    assert "set HF_HOME" in said
    assert all(path.stat().st_size < 1000 for path in machine.cache.rglob("*") if path.is_file())
    assert contents(machine.folder())["model.safetensors"] == large


def test_an_interrupt_ends_a_download_at_once(hub, machine):
    begun = threading.Event()

    def trickle(handler: Handler) -> None:
        handler.answer(200, b"wei", **{"Content-Length": "7"} | file_headers(NEW, b"weights"))
        begun.set()
        keep_silent(handler)

    hub.answers[WEIGHTS] = trickle
    machine.environment["HF_HUB_DOWNLOAD_TIMEOUT"] = "1000"
    process = machine.start()
    assert begun.wait(600)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=600)
    assert said.endswith("KeyboardInterrupt\n")
    hub.answers.clear()
    assert contents(machine.folder()).keys() == WANTED
