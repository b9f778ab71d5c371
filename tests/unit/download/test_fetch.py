"""Downloads from a server that drops connections, stops early, sends other bytes, or has gone."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import random
import shutil
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mirror import Mirror, serve

import finecal.download.fetch
import finecal.download.resume
from finecal.download.fetch import check, fetch, fetch_all
from finecal.download.http import CHUNK
from finecal.download.spec import Download
from finecal.errors import UserError
from finecal.plan.plan import Plan
from finecal.stages.download import download

CONTENT = random.Random(0).randbytes(3_000_000)  # more than one chunk
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Mirror]:
    with serve({"a/data.zip": CONTENT, "b/data.zip": CONTENT}) as mirror:
        yield mirror


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "resources" / "set"


def a_file(server: Mirror, *paths: str, **known: str | int) -> Download:
    urls = tuple(server.url(path) for path in paths or ("a/data.zip",))
    return Download("data.zip", urls, **{"sha256": SHA256, "bytes": len(CONTENT), **known})  # type: ignore[arg-type]


def kept(arrived: int) -> int:
    """How many of the bytes that arrived are kept: whole chunks."""
    return arrived // CHUNK * CHUNK


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def message(download: Download, folder: Path, **options: str) -> str:
    with pytest.raises(UserError) as caught:
        fetch(download, folder, wait=0, **options)
    return str(caught.value)


def test_a_file_comes_whole_with_its_hash_beside_it(server: Mirror, folder: Path) -> None:
    path = fetch(a_file(server), folder)
    assert path.read_bytes() == CONTENT
    state = f"# size, time in ns: {len(CONTENT)} {path.stat().st_mtime_ns}"
    assert (folder / "data.zip.sha256").read_text() == f"{SHA256}  data.zip\n{state}\n"
    assert names(folder) == ["data.zip", "data.zip.sha256"]


def test_a_file_that_is_there_is_not_fetched_again(server: Mirror, folder: Path) -> None:
    fetch(a_file(server), folder)
    fetch(a_file(server), folder)
    assert len(server.asked) == 1


def test_dropped_connections_go_on_where_they_broke(server: Mirror, folder: Path) -> None:
    server.faults["a/data.zip"] = ["drop", "drop", "silent", "500"]
    assert fetch(a_file(server), folder, wait=0).read_bytes() == CONTENT
    first = kept(len(CONTENT) // 2)
    second = first + kept((len(CONTENT) - first) // 2)
    ranges = [asked for _, asked in server.asked]
    assert ranges == ["", f"bytes={first}-", *[f"bytes={second}-"] * 3]


def test_another_process_goes_on_where_the_last_one_broke(server: Mirror, folder: Path) -> None:
    server.faults["a/data.zip"] = ["drop", "404"]
    text = message(a_file(server), folder)
    assert f"{server.url('a/data.zip')}: HTTP 404 Not Found" in text
    assert "The next try resumes what was fetched" in text
    assert names(folder) == ["data.zip.part", "data.zip.part.json"]
    assert fetch(a_file(server), folder).read_bytes() == CONTENT
    assert server.asked[-1][1] == f"bytes={kept(len(CONTENT) // 2)}-"


def test_a_server_that_refuses_every_part_is_given_up(server: Mirror, folder: Path) -> None:
    server.faults["a/data.zip"] = ["416"] * 100
    assert "HTTP 416" in message(a_file(server), folder)
    server.faults["a/data.zip"] = ["drop", "416", "416"]
    assert "HTTP 416" in message(a_file(server), folder)
    server.faults["a/data.zip"] = ["drop", "416"]
    assert fetch(a_file(server), folder, wait=0).read_bytes() == CONTENT


def test_a_server_that_sends_a_part_unasked_is_given_up(server: Mirror, folder: Path) -> None:
    server.faults["a/data.zip"] = ["unasked"]
    assert "it gives a part of the file instead of the whole" in message(a_file(server), folder)


def test_a_mirror_that_cannot_be_read_leads_to_the_next_address(
    server: Mirror, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a disk with bad sectors, or a network folder that has gone."""

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 2 * CHUNK:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(size)

    place = tmp_path / "mirror" / "set" / "data.zip"
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    real = Path.open

    def opened(path: Path, mode: str = "r", **more: Any) -> Any:
        return Broken(CONTENT) if path == place else real(path, mode, **more)

    monkeypatch.setattr(Path, "open", opened)
    assert fetch(a_file(server), folder, mirror=str(tmp_path / "mirror"), wait=0).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["a/data.zip"]
    (folder / "data.zip").unlink()
    text = message(replace(a_file(server), urls=()), folder, mirror=str(tmp_path / "mirror"))
    assert f"{place.as_uri()}: Input/output error" in text


def test_a_server_that_sends_no_parts_begins_anew(server: Mirror, folder: Path) -> None:
    server.faults["a/data.zip"] = ["drop", "whole"]
    assert fetch(a_file(server), folder, wait=0).read_bytes() == CONTENT


def test_a_server_that_cannot_tell_versions_apart_begins_anew(server: Mirror, folder: Path) -> None:
    server.etags = False
    server.faults["a/data.zip"] = ["drop"]
    assert fetch(a_file(server), folder, wait=0).read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["", ""]


def test_a_file_that_changes_in_between_is_not_mixed(server: Mirror, folder: Path) -> None:
    new = CONTENT[::-1]
    server.faults["a/data.zip"] = ["drop", "404"]
    message(a_file(server), folder)
    server.files["a/data.zip"] = new
    later = replace(a_file(server), sha256=hashlib.sha256(new).hexdigest())
    assert fetch(later, folder).read_bytes() == new


def test_a_file_in_a_folder_that_changes_in_between_is_not_mixed(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "data.zip"
    place.write_bytes(CONTENT)
    download = Download("data.zip", (place.as_uri(),), sha256=SHA256)
    folder.mkdir(parents=True)
    (folder / "data.zip.part").write_bytes(b"old")
    earlier = {"url": place.as_uri(), "total": 9, "etag": "", "date": "1"}
    (folder / "data.zip.part.json").write_text(json.dumps(earlier))
    assert fetch(download, folder).read_bytes() == CONTENT


def test_a_bad_part_is_given_up_and_the_file_fetched_anew(server: Mirror, folder: Path) -> None:
    server.faults["a/data.zip"] = ["drop", "404"]
    message(a_file(server), folder)
    part = folder / "data.zip.part"
    part.write_bytes(b"?" * part.stat().st_size)
    assert fetch(a_file(server), folder, wait=0).read_bytes() == CONTENT
    assert names(folder) == ["data.zip", "data.zip.sha256"]


def test_the_next_mirror_is_asked(server: Mirror, folder: Path) -> None:
    server.faults["a/data.zip"] = ["404"]
    assert fetch(a_file(server, "a/data.zip", "b/data.zip"), folder).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["a/data.zip", "b/data.zip"]


def test_wrong_bytes_are_removed_and_named(server: Mirror, folder: Path) -> None:
    server.faults["a/data.zip"] = ["wrong"]
    found = hashlib.sha256(bytes(255 - byte for byte in CONTENT)).hexdigest()
    expected = f"{server.url('a/data.zip')}: its SHA-256 is {found}, expected is {SHA256}"
    assert expected in message(a_file(server), folder)
    assert names(folder) == []


def test_an_md5_counts_where_the_publisher_has_no_other(server: Mirror, folder: Path) -> None:
    only_md5 = replace(a_file(server), sha256=None, md5=MD5)
    assert fetch(only_md5, folder).read_bytes() == CONTENT
    shutil.rmtree(folder)
    server.faults["a/data.zip"] = ["wrong"]
    assert f"expected is {MD5}" in message(only_md5, folder)


def test_another_size_is_refused_before_anything_is_fetched(server: Mirror, folder: Path) -> None:
    text = message(a_file(server, bytes=5), folder)
    assert f"it has {len(CONTENT):,} bytes instead of 5" in text
    assert (folder / "data.zip.part").stat().st_size == 0


@pytest.mark.parametrize("fault", ["short", "unannounced"])
def test_half_a_file_that_calls_itself_whole_is_refused(server: Mirror, folder: Path, fault: str) -> None:
    server.faults["a/data.zip"] = [fault]
    half = len(CONTENT) // 2
    assert f"{half:,} bytes" in message(a_file(server), folder)
    assert not (folder / "data.zip").exists()


def test_a_page_to_sign_in_is_not_the_file(server: Mirror, folder: Path) -> None:
    server.faults["a/data.zip"] = ["page"]
    download = replace(a_file(server), by_hand="Sign in at https://example.org/set, download data.zip")
    text = message(download, folder)
    assert "it gives a web page instead of the file" in text
    assert text.endswith("Hint: Sign in at https://example.org/set, download data.zip and put it there.")


def test_a_file_for_people_only_says_where_it_is_and_where_it_goes(folder: Path) -> None:
    download = Download("data.zip", sha256=SHA256, by_hand="Sign in at https://example.org/set, download data.zip")
    assert message(download, folder) == (
        f"{folder}/data.zip: this file has to be fetched by hand. Sign in at https://example.org/set, download "
        "data.zip and put it there. Hint: A `mirror` in config.yaml that has it works too."
    )
    folder.mkdir(parents=True)
    (folder / "data.zip").write_bytes(CONTENT)
    check(download, folder)
    assert (folder / "data.zip.sha256").read_text().startswith(SHA256)


def test_a_wrong_file_put_there_by_hand_is_named_not_removed(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "data.zip").write_bytes(b"wrong")
    with pytest.raises(UserError, match=f"its SHA-256 is .*, expected is {SHA256}"):
        check(Download("data.zip", sha256=SHA256), folder)
    with pytest.raises(UserError, match="it has 5 bytes, expected are 7"):
        check(Download("data.zip", bytes=7), folder)
    assert (folder / "data.zip").read_bytes() == b"wrong"


def test_the_first_downloads_hash_holds_from_then_on(server: Mirror, folder: Path) -> None:
    unknown = replace(a_file(server), sha256=None, bytes=None)
    fetch(unknown, folder)
    (folder / "data.zip").unlink()
    server.files["a/data.zip"] = b"another"
    text = message(unknown, folder)
    assert f"expected is {SHA256}, which the first download had (data.zip.sha256)" in text
    (folder / "data.zip").write_bytes(b"another")
    with pytest.raises(UserError, match="which the first download had"):
        check(unknown, folder)


@pytest.mark.parametrize("later", [-10, 10])
@pytest.mark.parametrize("known", ["publisher", "first download"])
def test_a_file_that_changed_after_its_hash_was_taken_is_read_again(
    server: Mirror, folder: Path, later: int, known: str
) -> None:
    """Also if it is older then, as a copy that keeps its times is."""
    download = a_file(server) if known == "publisher" else replace(a_file(server), sha256=None)
    path = fetch(download, folder)
    time = path.stat().st_mtime
    path.write_bytes(CONTENT[::-1])
    os.utime(path, (time + later, time + later))
    with pytest.raises(UserError, match=f"expected is {SHA256}"):
        check(download, folder)


def test_a_file_that_is_only_touched_is_read_once_more(
    server: Mirror, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fetch(a_file(server), folder)
    hashed: list[Path] = []
    real = finecal.download.fetch._hash
    monkeypatch.setattr(finecal.download.fetch, "_hash", lambda file, name: hashed.append(file) or real(file, name))
    path.touch()
    for _ in range(3):
        check(a_file(server), folder)
    assert hashed == [path]
    (folder / "data.zip.sha256").write_text(f"{SHA256}  data.zip\n")  # of sha256sum, by hand
    check(a_file(server), folder)
    assert hashed == [path, path]


def test_a_recorded_hash_is_compared_with_what_the_publisher_says(server: Mirror, folder: Path) -> None:
    fetch(replace(a_file(server), sha256=None), folder)
    with pytest.raises(UserError, match=f"its SHA-256 is {SHA256}, expected is {'0' * 64}"):
        check(replace(a_file(server), sha256="0" * 64), folder)


def test_a_folder_as_mirror_is_asked_first(server: Mirror, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mirror" / "set").mkdir(parents=True)
    (tmp_path / "mirror" / "set" / "data.zip").write_bytes(CONTENT)
    assert fetch(a_file(server), folder, mirror=str(tmp_path / "mirror")).read_bytes() == CONTENT
    assert server.asked == []


def test_an_address_as_mirror_is_asked_first_and_may_lack_the_file(server: Mirror, folder: Path) -> None:
    assert fetch(a_file(server), folder, mirror=server.url("site/")).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["site/set/data.zip", "a/data.zip"]


def test_a_mirror_that_is_not_there_is_named(server: Mirror, folder: Path) -> None:
    nowhere = str(folder / "nowhere")
    assert message(a_file(server), folder, mirror=nowhere) == (
        f"mirror: there is no folder {nowhere!r}. A mirror is a folder or an address."
    )


def test_too_little_space_is_said_before(server: Mirror, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(finecal.download.resume.shutil, "disk_usage", lambda _: usage(1000))
    assert message(a_file(server), folder).startswith(
        f"{folder}/data.zip: this file needs {len(CONTENT):,} bytes more, the disk has 1,000 left."
    )


def test_two_processes_do_not_write_the_same_part(server: Mirror, folder: Path) -> None:
    folder.mkdir(parents=True)
    with (folder / "data.zip.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another process is fetching this file" in message(a_file(server), folder)


def test_another_process_has_fetched_it_meanwhile(
    server: Mirror, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for the file and the lock on its part."""
    lock = fcntl.flock

    def late(file: Any, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        lock(file, fcntl.LOCK_SH)
        (folder / "data.zip.part").write_bytes(CONTENT)
        (folder / "data.zip.part").rename(folder / "data.zip")
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    asked = len(server.asked)
    assert fetch(a_file(server), folder, wait=0).read_bytes() == CONTENT
    assert len(server.asked) == asked
    assert names(folder) == ["data.zip", "data.zip.sha256"]


def test_nobody_takes_a_part_before_it_has_its_name(
    server: Mirror, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hash takes minutes where it is large."""
    hashed = finecal.download.fetch._hash

    def while_others_come(path: Path, name: str) -> str:
        monkeypatch.setattr(finecal.download.fetch, "_hash", hashed)
        assert "another process is fetching this file" in message(a_file(server), folder)
        return hashed(path, name)

    monkeypatch.setattr(finecal.download.fetch, "_hash", while_others_come)
    assert fetch(a_file(server), folder, wait=0).read_bytes() == CONTENT


@pytest.mark.parametrize("note", ["{", "[]", '{"other": 1}', json.dumps({"url": "http://elsewhere", "total": 9})])
def test_a_note_that_makes_no_sense_is_no_obstacle(server: Mirror, folder: Path, note: str) -> None:
    folder.mkdir(parents=True)
    (folder / "data.zip.part").write_bytes(b"something")
    (folder / "data.zip.part.json").write_text(note)
    assert fetch(a_file(server), folder, wait=0).read_bytes() == CONTENT


def test_all_files_are_tried_before_the_failures_are_told(server: Mirror, folder: Path) -> None:
    good, gone = a_file(server), Download("gone.zip", (server.url("gone.zip"),))
    by_hand = Download("hand.zip", by_hand="Go to https://example.org, download hand.zip")
    files = {folder / one.name: one for one in (gone, by_hand, good)}
    with pytest.raises(UserError) as caught:
        fetch_all(files, wait=0)
    text = str(caught.value)
    assert text.startswith(f"2 of 3 files could not be fetched: (1) {folder}/gone.zip: could not be fetched.")
    assert f"(2) {folder}/hand.zip: this file has to be fetched by hand." in text
    assert (folder / "data.zip").read_bytes() == CONTENT


def test_what_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = Plan(["small/office_home"])
    with pytest.raises(UserError, match=r"unknown data set 'offic_home'. Known, closest first: office_home"):
        download(plan, "offic_home", None)
    with pytest.raises(UserError, match=r"unknown download 'resources/office_home/Arts.tgz'"):
        download(plan, "resources/office_home/Arts.tgz", None)
    assert download(plan, "digits", None) == "digits: needs nothing from the network"
    assert not list(tmp_path.iterdir())


def test_addresses_that_do_not_answer_are_all_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finecal.download.resume, "TRIES", 2)
    nobody = Download("data.zip", ("http://127.0.0.1:9/x", "http://nobody.invalid/x", "file:///no/such/file"))
    text = message(nobody, folder)
    assert "http://127.0.0.1:9/x: " in text
    assert "refused" in text
    assert "http://nobody.invalid/x: no such host, or no network; file:///no/such/file: No such file" in text
