"""Reports that were fetched: unpacked without trust, listed, and forgotten in time."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from memleash_responder.adapters.reports import BadReport, Reports

MIB = 1024**2
REPORT = {"report.json": b"{}", "report.md": b"# leak", "raw/stacks.txt": b"Thread 1"}
DAY = 86400.0


@pytest.fixture
def packed() -> Callable[..., bytes]:
    def pack(files: dict[str, bytes] = REPORT, *odd: tarfile.TarInfo) -> bytes:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            for member in odd:
                tar.addfile(member)
        return archive.getvalue()

    return pack


def store(tmp_path: Path, *, keep: int = 3, keep_bytes: int = 10 * MIB) -> Reports:
    return Reports(tmp_path / "reports", keep, keep_bytes)


def test_a_report_gets_a_folder_named_after_host_agent_and_time(
    tmp_path: Path, packed: Callable[..., bytes]
) -> None:
    reports = store(tmp_path)

    put = reports.put("host-1", "kvmagent", DAY, packed(), MIB)

    assert put.folder == tmp_path / "reports/host-1/kvmagent/19700102T000000Z"
    assert [str(file.relative_to(put.folder)) for file in put.files()] == [
        "raw/stacks.txt",
        "report.json",
        "report.md",
    ]
    assert put.size_bytes == sum(map(len, REPORT.values()))
    assert reports.get("host-1", "kvmagent", "19700102T000000Z") == put


@pytest.mark.parametrize("name", ["ü" * 100, "h" * 255, "h" * 4000], ids=len)
def test_a_name_that_is_too_long_for_a_folder_is_cut_and_found_all_the_same(
    tmp_path: Path, packed: Callable[..., bytes], name: str
) -> None:
    reports = store(tmp_path, keep=1)

    put = reports.put(name, f"{name}-agent", DAY, packed(), MIB)
    other = reports.put(f"{name}-2", f"{name}-agent", DAY, packed(), MIB)

    assert put.folder.is_dir()
    assert reports.get(name, f"{name}-agent", "19700102T000000Z") == put
    assert {one.folder for one in reports.all()} == {put.folder, other.folder}
    later = reports.put(name, f"{name}-agent", 2 * DAY, packed(), MIB)
    assert reports.all(name, f"{name}-agent") == [later], "it is forgotten in its turn"


def test_putting_the_same_report_again_changes_nothing(
    tmp_path: Path, packed: Callable[..., bytes]
) -> None:
    reports = store(tmp_path)
    first = reports.put("host-1", "kvmagent", DAY, packed(), MIB)

    assert reports.put("host-1", "kvmagent", DAY, packed(), MIB) == first
    assert reports.all() == [first]


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "raw/../../evil", "a/../../../evil"])
def test_a_name_that_leads_out_of_the_report_is_refused(
    tmp_path: Path, packed: Callable[..., bytes], name: str
) -> None:
    with pytest.raises(BadReport, match="not a plain file"):
        store(tmp_path).put("h", "a", DAY, packed({**REPORT, name: b"x"}), MIB)

    assert not list(tmp_path.rglob("evil"))
    assert store(tmp_path).all() == []


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE]
)
def test_anything_but_a_plain_file_is_refused(
    tmp_path: Path, packed: Callable[..., bytes], kind: bytes
) -> None:
    odd = tarfile.TarInfo("odd")
    odd.type, odd.linkname = kind, "/etc/passwd"

    with pytest.raises(BadReport, match="not a plain file"):
        store(tmp_path).put("h", "a", DAY, packed(REPORT, odd), MIB)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"report.json": b"x" * (MIB + 1)}, "more than 1048576 bytes"),
        ({f"{number}": b"" for number in range(101)}, "more than 100 files"),
        ({"report.md": b""}, "no report.json"),
    ],
)
def test_a_report_that_is_too_much_or_too_little_is_refused(
    tmp_path: Path, packed: Callable[..., bytes], files: dict[str, bytes], problem: str
) -> None:
    with pytest.raises(BadReport, match=problem):
        store(tmp_path).put("h", "a", DAY, packed(files), MIB)

    assert [path for path in (tmp_path / "reports").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "name", ["d/" * 1000 + "f", "d/" * 8 + "f", "n" * 201, "raw/" + "\udce9" * 200]
)
def test_a_name_that_is_deep_or_long_is_refused(
    tmp_path: Path, packed: Callable[..., bytes], name: str
) -> None:
    with pytest.raises(BadReport, match="deeper than 8 levels, or longer than 200"):
        store(tmp_path).put("h", "a", DAY, packed({**REPORT, name: b""}), MIB)

    assert store(tmp_path).all() == []


def test_a_tar_of_nothing_but_long_names_is_refused(tmp_path: Path) -> None:
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 1
    chain = (long_name.tobuf(tarfile.GNU_FORMAT) + b"x".ljust(512, b"\0")) * 400

    with pytest.raises(BadReport, match="cannot be unpacked"):
        store(tmp_path).put("h", "a", DAY, gzip.compress(chain), MIB)


def test_a_header_that_unpacks_to_gigabytes_is_not_read(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 10**9
    bomb = gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(8 * MIB))

    with pytest.raises(BadReport, match="more than 1048576 bytes"):
        store(tmp_path).put("h", "a", DAY, bomb, MIB)


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadReport, match="cannot be unpacked"):
        store(tmp_path).put("h", "a", DAY, b"noise", MIB)


def test_an_agent_keeps_its_newest_reports(tmp_path: Path, packed: Callable[..., bytes]) -> None:
    reports = store(tmp_path, keep=2)
    for day in (1, 2, 3):
        reports.put("h", "a", day * DAY, packed(), MIB)
    reports.put("h", "other", DAY, packed(), MIB)

    kept = [(one.agent, one.time) for one in reports.all("h")]

    assert kept == [
        ("a", "19700104T000000Z"),
        ("a", "19700103T000000Z"),
        ("other", "19700102T000000Z"),
    ]


def test_the_oldest_of_all_go_when_all_are_too_large_but_never_the_newest_put(
    tmp_path: Path, packed: Callable[..., bytes]
) -> None:
    reports = store(tmp_path, keep=9, keep_bytes=2500)
    for day, host in ((1, "h1"), (3, "h2"), (2, "h3")):
        reports.put(host, "a", day * DAY, packed({"report.json": b"x" * 1000}), MIB)
    assert [one.host for one in reports.all()] == ["h2", "h3"]

    reports.put("h4", "a", 0.0, packed({"report.json": b"x" * 3000}), MIB)

    assert [one.host for one in reports.all()] == ["h4"]


@pytest.mark.parametrize("name", ["..", ".", "a/b", "../../x", ".hidden", "ü %2E"])
def test_any_name_of_a_host_stays_inside_the_root_and_comes_back_as_it_was(
    tmp_path: Path, packed: Callable[..., bytes], name: str
) -> None:
    reports = store(tmp_path)

    put = reports.put(name, "a", DAY, packed(), MIB)

    assert put.folder.resolve().is_relative_to((tmp_path / "reports").resolve())
    assert len(put.folder.relative_to(tmp_path / "reports").parts) == 3
    assert [one.host for one in reports.all()] == [name]


def test_a_download_holds_every_file(tmp_path: Path, packed: Callable[..., bytes]) -> None:
    put = store(tmp_path).put("h", "a", DAY, packed(), MIB)

    with tarfile.open(fileobj=io.BytesIO(put.packed())) as tar:
        assert sorted(tar.getnames()) == sorted(REPORT)
