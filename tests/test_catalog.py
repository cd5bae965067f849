"""The services file: what it says, and how it is refused."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from veza_nb.catalog import Endpoint, load_catalog
from veza_nb.errors import CatalogError, NotFoundError


def written(folder: Path, text: str) -> Path:
    path = folder / "services.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_built_in_catalogue_describes_the_three_services_of_veza() -> None:
    catalog = load_catalog()

    assert sorted(catalog.services) == ["veza-backend-api", "veza-frontend", "veza-stream-server"]
    backend = catalog.service("veza-backend-api")
    assert (backend.namespace, backend.workload) == ("veza-production", "veza-backend-api")
    assert backend.endpoints == (Endpoint(path="/api/v1/tracks", status=200, max_seconds=0.5),)


def test_extending_overrides_single_values_and_keeps_the_rest(tmp_path: Path) -> None:
    text = "extends: veza\nservices:\n  veza-frontend: {url: 'http://127.0.0.1:1'}\n"

    frontend = load_catalog(written(tmp_path, text)).service("veza-frontend")

    assert frontend.url == "http://127.0.0.1:1"
    assert frontend.depends_on == ("veza-backend-api",)


def test_unknown_service_is_refused_with_those_that_exist() -> None:
    with pytest.raises(NotFoundError) as caught:
        load_catalog().service("veza-backend")

    assert "veza-backend-api, veza-frontend, veza-stream-server" in caught.value.next_step
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("services:\n  a:\n    ulr: x\n", 3, "unknown key 'ulr'"),
        ("services:\n  a:\n    endpoints:\n    - {path: /x, status: ok}\n", 4, "expected `int`"),
        (
            "extends: veza\nservices:\n  veza-frontend:\n    depends_on: [zz]\n",
            4,
            "depends on 'zz'",
        ),
        ("a: [", 1, "expected"),
        ("services:\n  a: {}\n  a: {}\n", 3, "the key 'a' is there twice"),
        ("", 1, "must name at least one service"),
        ("- 1\n", 1, "a catalogue is a mapping"),
        ("extends: other\nservices: {}\n", 1, "`extends` takes `veza`"),
        ("extends: veza\n\nverify:\n  soak_seconds: long\n", 4, "expected `float`"),
        ("extends: veza\nservices:\n  veza-frontend:\n    url: ftp://x\n", 4, "not http"),
        ("services:\n  a: {}\nnamespce: x\n", 3, "unknown key 'namespce'"),
        ("extends: veza\nverify: {soak_seconds: -1}\n", 2, "expected `float` >= 0"),
        ("extends: veza\nverify:\n  soak_seconds: .nan\n", 3, "expected `float`"),
        ("extends: veza\nverify:\n  samples: 0\n", 3, "expected `int` >= 3"),
        ("extends: veza\nverify: {max_steps: 0}\n", 2, "expected `int` >= 1"),
        ("extends: veza\nverify:\n  smoke: [{name: a, command: []}]\n", 3, "length >= 1"),
        ("extends: veza\nverify:\n  smoke: [{name: a/b, command: [c]}]\n", 3, "matching regex"),
        (
            "extends: veza\nverify:\n  smoke:\n    - {name: a, command: [c]}\n"
            "    - {name: a, command: [d]}\n",
            5,
            "two smoke tests 'a'",
        ),
        (
            "extends: veza\nverify:\n  smoke:\n    - {name: a, command: [c], services: [x]}\n",
            4,
            "'x' is not a service",
        ),
        (
            "extends: veza\nservices:\n  veza-frontend: {external_url: www.example.org}\n",
            3,
            "external_url of veza-frontend is not http:// or https://",
        ),
        ("services:\n  a:\n    endpoints: [{path: nope}]\n", 3, "matching regex"),
        ("services:\n  a:\n    endpoints: [{path: /, status: 9}]\n", 3, "expected `int` >= 100"),
        ("a: &a [*a]\n", 1, "refers to itself"),
    ],
)
def test_broken_file_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = written(tmp_path, text)

    with pytest.raises(CatalogError) as caught:
        load_catalog(path)

    assert caught.value.what.startswith(f"{path}:{line}: ")
    assert said in caught.value.what
    assert caught.value.exit_code == 2


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")

    for path in (tmp_path / "none.yaml", tmp_path, binary):
        with pytest.raises(CatalogError, match=str(path)):
            load_catalog(path)


FREEZE = "extends: veza\nfreeze:\n  - {from: 2026-12-20T00:00:00Z, to: 2027-01-02T00:00:00Z}\n"


@pytest.mark.parametrize(
    ("at", "frozen"),
    [
        (datetime(2026, 12, 19, 23, 59, tzinfo=UTC), False),
        (datetime(2026, 12, 20, tzinfo=UTC), True),
        (datetime(2027, 1, 1, 23, 59, tzinfo=UTC), True),
        (datetime(2027, 1, 2, tzinfo=UTC), False),
    ],
)
def test_a_freeze_holds_from_its_beginning_until_its_end(
    tmp_path: Path, at: datetime, *, frozen: bool
) -> None:
    said = load_catalog(written(tmp_path, FREEZE)).frozen(at)

    assert frozen is bool(said)
    assert said in ("", "no reason given (until 2027-01-02 00:00:00 UTC)")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("- {from: 2026-12-20T00:00:00Z, to: 2026-12-20T00:00:00Z}", "ends after it begins"),
        ("- {from: 2026-12-20, to: 2026-12-21T00:00:00Z}", "datetime"),
        ("- {from: 2026-12-20T00:00:00Z}", "to"),
        ("- {since: 1}", "since"),
    ],
)
def test_a_broken_freeze_is_refused_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = written(tmp_path, f"extends: veza\nfreeze:\n  {line}\n")

    with pytest.raises(CatalogError, match=rf"services.yaml:3: .*{said}"):
        load_catalog(path)


SHOP = """
namespace: shop
services:
  web: {depends_on: [api], workload: web-v2}
  api:
    depends_on: [auth]
    backing:
      - {kind: statefulset, name: postgres, namespace: data}
      - {kind: service, name: queue}
  auth: {kind: StatefulSet}
  mail: {namespace: post}
"""


def test_a_service_knows_its_neighbours_and_what_they_are_to_it(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP)
    book = load_catalog(path)

    def of(service: str) -> list[tuple[str, str, str]]:
        nearby = book.service(service).nearby
        return [(one.role, str(one), one.namespace) for one in nearby]

    assert of("api") == [
        ("needed", "statefulset/postgres", "data"),
        ("needed", "service/queue", "shop"),
        ("needed", "statefulset/auth", "shop"),
        ("dependent", "deployment/web-v2", "shop"),
        ("other", "deployment/mail", "post"),
    ]
    assert [role for role, _, _ in of("web")] == ["needed", "needed", "other"]
    assert {place for _, _, place in of("mail")} == {"shop"}


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("kind: service,", "kind: queue,", 9, "kind|queue"),
        ("name: postgres,", "name: '',", 8, "length"),
        (
            "mail: {",
            "mail: {nearby: [{role: other, kind: x, name: y, namespace: z}], ",
            11,
            "nearby",
        ),
    ],
)
def test_broken_neighbours_are_refused_with_their_line(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    path = tmp_path / "shop.yaml"
    assert old in SHOP
    path.write_text(SHOP.replace(old, new))

    with pytest.raises(CatalogError, match=rf"{path}:{line}: .*({said})"):
        load_catalog(path)


def test_the_usual_soak_is_longer_than_what_turns_bad_after_20_s_needs_to_show() -> None:
    verify = load_catalog().verify

    # Ten of its seconds of failing, one request a second: enough to tell by `rates`.
    assert verify.soak_seconds >= 30
    assert verify.interval_seconds <= 1
    assert (verify.max_steps, verify.smoke, verify.require_users) == (1, (), False)
