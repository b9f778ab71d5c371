"""Accounting for the cluster of the tests: slurmdbd, and a MariaDB of its own below it.

apt-get install slurmdbd mariadb-server
"""

from __future__ import annotations

import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mini_cluster import CONFIGURATION, MARK, NODES, PATIENCE, Cluster, slurm, wait_until

PROGRAMS = ("mariadbd", "mariadb", "mariadb-install-db", "slurmdbd", "sacct", "sacctmgr")
DATABASE_PORT, DAEMON_PORT = 16815, 16819
SLURMDBD_CONF = """\
{mark}
DbdHost=localhost
DbdPort={daemon_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass={password}
"""
WITHOUT = "AccountingStorageType=accounting_storage/none\n"
WITH = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={daemon_port}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations,limits,qos
"""
# An account whose user may have four jobs in SLURM at a time, which finecal reads, and itself three, which it does not.
FOUR = "user root account=four MaxSubmitJobs=4"


@contextmanager
def accounting(cluster: Cluster) -> Iterator[None]:
    """Let a running cluster keep accounts while the context lasts."""
    configuration = CONFIGURATION / "slurm.conf"
    without = configuration.read_text()
    cluster.stop_controller()
    with ExitStack() as undo:
        undo.callback(cluster.wait_until_idle, *NODES)
        undo.callback(cluster.start_controller)
        undo.callback(configuration.write_text, without)
        configuration.write_text(without.replace(WITHOUT, WITH.format(folder=cluster.folder, daemon_port=DAEMON_PORT)))
        undo.callback(cluster.end, "database", signal.SIGTERM)
        password = _start_database(cluster.folder)
        undo.callback(cluster.end, "slurmdbd", signal.SIGTERM)
        _start_daemon(cluster.folder, password)
        for added in ("cluster finecal", "account all", "user root account=all", "account four GrpSubmitJobs=3", FOUR):
            slurm("sacctmgr", "--immediate", "add", *added.split())
        undo.callback(cluster.stop_controller)
        cluster.start_controller()
        wait_until(lambda: "|16817|" in _clusters(), PATIENCE, "the controller to be known to the accounts")
        cluster.wait_until_idle(*NODES)
        yield


def _start_database(folder: Path) -> str:
    """Start MariaDB; return the password of its user `slurm`."""
    data, socket = folder / "database", folder / "database.socket"
    create = ("mariadb-install-db", "--no-defaults", f"--datadir={data}", "--user=root", "--skip-test-db")
    subprocess.run(create, check=True, capture_output=True, timeout=120)
    subprocess.Popen(
        [
            "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket}",
            f"--pid-file={folder}/database.pid", f"--log-error={folder}/database.log",
            "--bind-address=127.0.0.1", f"--port={DATABASE_PORT}",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(socket.exists, PATIENCE, "the database")
    password = secrets.token_hex()
    allow = f"CREATE USER slurm@'%' IDENTIFIED BY '{password}'; GRANT ALL ON slurm_acct_db.* TO slurm@'%';"
    client = ("mariadb", "--no-defaults", f"--socket={socket}", "--user=root", f"--execute={allow}")
    subprocess.run(client, check=True, capture_output=True, timeout=60)
    return password


def _start_daemon(folder: Path, password: str) -> None:
    """Start slurmdbd and wait until it answers. It refuses a configuration that others may read."""
    file = CONFIGURATION / "slurmdbd.conf"
    file.unlink(missing_ok=True)
    file.touch(0o600)
    values = {"mark": MARK, "folder": folder, "password": password}
    file.write_text(SLURMDBD_CONF.format(**values, daemon_port=DAEMON_PORT, database_port=DATABASE_PORT))
    subprocess.run(["slurmdbd"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
    wait_until(lambda: _clusters() is not None, PATIENCE, "slurmdbd")


def _clusters() -> str | None:
    """Return what the accounts say of their clusters; None if they do not answer."""
    done = subprocess.run(
        ["sacctmgr", "-nP", "show", "cluster"], capture_output=True, text=True, timeout=60, check=False
    )
    return None if done.returncode else done.stdout
