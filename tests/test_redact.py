"""Secrets are masked, and nothing else is."""

import base64
import json
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veza_nb.redact import MASK, Redactor, is_secret_name, redact_notebook

KEY_BODY = "MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun"
SECRET = "Tr0ub4dor-n3"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
CODED = base64.b64encode(b"Tr0ub4dor&3").decode()

# What stands in the text, and what must not stand in it afterwards.
PLANTED = {
    "env line": (f"DB_PASSWORD={SECRET}", SECRET),
    "env line with export and quotes": (f'export API_KEY="{SECRET}"', SECRET),
    "env line with odd characters": ("SMTP_PASS=a,b(c)d;e&f", "a,b(c)d;e&f"),
    "json": (f'{{"user": "veza", "password": "{SECRET}", "port": 5432}}', SECRET),
    "json with escaped quote": ('{"password": "ab\\"cd1", "port": 1}', 'ab\\"cd1'),
    "json in a json string": (f'{{"msg": "{{\\"apiKey\\":\\"{SECRET}\\"}}"}}', SECRET),
    "json number": ('{"password": 482913, "port": 1}', "482913"),
    "json cut off": (f'{{"level":"info","client_secret":"{SECRET}', SECRET),
    "python repr": (f"{{'auth_token': '{SECRET}', 'n': 1}}", SECRET),
    "yaml": (f"  password: {SECRET}\n  user: veza", SECRET),
    "yaml phrase": ("password: correct horse battery staple", "horse"),
    "yaml list of env": (f"- name: JWT_SECRET\n  value: {SECRET}\n- name: LOG", SECRET),
    "yaml diff of env": (f"   - name: JWT_SECRET\n-    value: {SECRET}", SECRET),
    "json list of env": (f'{{"name":"DB_PASSWORD","value":"{SECRET}"}}', SECRET),
    "url userinfo": (f"postgres://veza:{SECRET}@db:5432/veza?sslmode=require", SECRET),
    "url userinfo with at sign": ("redis://:p@ss:w0rd@cache:6379/0", "p@ss:w0rd"),
    "database url": (f"DATABASE_URL=mysql://root:{SECRET}@10.0.0.7/veza", SECRET),
    "url query": (f"GET /api?user=1&access_token={SECRET}&page=2 200", SECRET),
    "html-escaped query": (f"/login?user=1&amp;password={SECRET}&amp;next=/", SECRET),
    "authorization header": (f"> Authorization: Bearer {SECRET}", SECRET),
    "basic header": ("authorization: Basic dmV6YTpzM2NyM3Q=", "dmV6YTpzM2NyM3Q="),
    "header in a dict": (f"{{'Authorization': 'Bearer {SECRET}'}}", SECRET),
    "curl header": (f"curl -H 'X-Api-Key: {SECRET}' https://api", SECRET),
    "cookie header": (f"Cookie: session={SECRET}; theme=dark", SECRET),
    "bearer in prose": ("sent bearer 9f8e7d6c5b4a39281706 to peer", "9f8e7d6c5b4a39281706"),
    "jwt alone": (f"verified {JWT} for system", JWT),
    "traceback": (
        f"  File \"db.py\", line 3\n    password = '{SECRET}'\nOperationalError: auth",
        SECRET,
    ),
    "coloured traceback": (
        f"password \x1b[38;5;241m=\x1b[39m \x1b[38;5;124m'{SECRET}'\x1b[39m",
        SECRET,
    ),
    "exception with a dsn": (f"could not connect: postgresql://u:{SECRET}@db/veza (1)", SECRET),
    "html attribute": (f'<input type="password" value="{SECRET}">', SECRET),
    "html data attribute": (f'<div data-token="{SECRET}" class="x">', SECRET),
    "html meta": (f'<meta name="csrf-token" content="{SECRET}">', SECRET),
    "html entities": (f"password=&quot;{SECRET}&quot; user=&quot;veza&quot;", SECRET),
    "secret object in yaml": (f"apiVersion: v1\ndata:\n  dsn: {CODED}\nkind: Secret\n", CODED),
    "secret object in json": (f'{{"data": {{"dsn": "{CODED}"}}, "kind": "Secret"}}', CODED),
    "kubeconfig token": (f"- name: veza\n  user:\n    token: {SECRET}\n", SECRET),
    "kubeconfig key": ("    client-key-data: LS0tLS1CRUdJTiBSU0E=", "LS0tLS1CRUdJTiBSU0E="),
    "option": (f"veza-nb run --token {SECRET} --dry-run", SECRET),
    "option with sign": (f"server --db-password={SECRET} --port=1", SECRET),
    "option in a list": (f"['server', '--api-key', '{SECRET}', '--port']", SECRET),
    "option with quotes": ("login --password 'two words 1' --user veza", "two words"),
    "option in a yaml list": (f"args:\n- --db-password\n- {SECRET}\n- --port", SECRET),
    "option in a quoted yaml list": (f"- '--token'\n- '{SECRET}'", SECRET),
    "option in a diff": (f"-    - --api-key\n-    - {SECRET}", SECRET),
    "option in a json list": (f'[\n  "-password",\n  "{SECRET}",\n  "-v"\n]', SECRET),
    "curl user": (f"curl -u veza:{SECRET} https://api.veza.example", SECRET),
    "mysql": (f"mysql -uroot -p{SECRET} veza", SECRET),
    "env before a command": (f"PGPASSWORD={SECRET} psql -h db", SECRET),
    "ini": (f"secret_key = {SECRET}", SECRET),
    "describe": (f"      STRIPE_API_KEY:   {SECRET}", SECRET),
    "log field": (f'ts=1 level=info token={SECRET} msg="x"', SECRET),
    "log sentence": (f"login as veza with password: {SECRET}", SECRET),
    "aws id": ("using AKIAIOSFODNN7EXAMPLE now", "AKIAIOSFODNN7EXAMPLE"),
    "github token": ("cloned with ghp_16C7e42F292c6912E7710c838347Ae178B4a", "ghp_16C7"),
    "slack hook": ("https://hooks.slack.com/services/T0001/B0002/XXyyZZ12345", "XXyyZZ"),
    "one line pem": (
        f'key="-----BEGIN PRIVATE KEY-----\\n{KEY_BODY}\\nab=\\n-----END PRIVATE KEY-----\\n"',
        KEY_BODY,
    ),
    "pem": (
        f"-----BEGIN RSA PRIVATE KEY-----\n{KEY_BODY}\n{KEY_BODY}\nq2c=\n"
        "-----END RSA PRIVATE KEY-----",
        KEY_BODY,
    ),
    "pem with log prefix": (
        f"08:39 -----BEGIN EC PRIVATE KEY-----\n08:39 {KEY_BODY}\n08:39 done",
        KEY_BODY,
    ),
}

HARMLESS = [
    "secretName: veza-backend-tls",
    "tokenExpirationSeconds: 3607",
    "      name: DB_PASSWORD",
    "        secretKeyRef:",
    '"secretKeyRef": {"key": "password", "name": "veza-db"}',
    "DB_PASSWORD:  <set to the key 'password' in secret 'veza-db'>  Optional: false",
    "DATABASE_URL=$(DB_URL)",
    "password: ${DB_PASSWORD}",
    "automountServiceAccountToken: false",
    "invalid token: signature is expired",
    "SyntaxError: Unexpected token < in JSON at position 0",
    'MountVolume.SetUp failed for volume "tls" : secret "veza-tls" not found',
    "Authorization header missing, authorization: required",
    "max_tokens=512 completion_token=17 token=3",
    "next_page_token=abcdef continue_token: xyz",
    "PWD=/opt/veza OLDPWD=/",
    "client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
    "type: kubernetes.io/service-account-token",
    "password:  12 bytes",
    "if token == other_token: return password != secret",
    "token = get_token(name)",
    "GET http://10.0.3.4:8080/api?mail=a@b.example 200",
    "image: registry.veza.example/api@sha256:0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796",
    "git@github.com:veza/api.git",
    "3 tests pass: 2 fail: 1",
    "bearer authentication is configured",
    "kind: SecretList",
    '"Syncing" secret="veza-production/db-creds"',
    "- --max-tokens\n- four hundred",
    "- --password\n- --verbose",
    "  --password\n      The password of the user.",
    "  - --token\nimage: registry.veza.example/api:v1.2.3",
    "--token-auth-file=/etc/tokens.csv --service-account-key-file=/etc/sa.pub",
]


@pytest.mark.parametrize(("text", "secret"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_secret_is_gone_and_counted(text: str, secret: str) -> None:
    redactor = Redactor()

    clean = redactor.text(text)

    assert secret in text
    assert secret not in clean
    assert MASK in clean
    assert redactor.counts.total() == clean.count(MASK)


@pytest.mark.parametrize(("text", "secret"), PLANTED.values(), ids=PLANTED.keys())
def test_a_second_pass_changes_nothing(text: str, secret: str) -> None:
    clean = Redactor().text(text)
    again = Redactor()

    assert clean == again.text(clean)
    assert not again.counts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"GET /a?token={SECRET}&page=2", f"GET /a?token={MASK}&page=2"),
        (f'{{"password": "{SECRET}", "port": 1}}', f'{{"password": "{MASK}", "port": 1}}'),
        (f"postgres://u:{SECRET}@db:5432/v", f"postgres://u:{MASK}@db:5432/v"),
        (f"Authorization: Bearer {SECRET}\nnext", f"Authorization: Bearer {MASK}\nnext"),
        (f"(password={SECRET}).", f"(password={MASK})."),
        (f"  password: {SECRET}  # old", f"  password: {MASK}  # old"),
        (f"--token {SECRET} --dry-run", f"--token {MASK} --dry-run"),
        (f"A_TOKEN={SECRET} B_TOKEN={SECRET}", f"A_TOKEN={MASK} B_TOKEN={MASK}"),
    ],
)
def test_only_the_value_is_masked(text: str, expected: str) -> None:
    assert expected == Redactor().text(text)


@pytest.mark.parametrize("line", HARMLESS)
def test_a_line_about_secrets_that_holds_none_is_left_alone(line: str) -> None:
    assert line == Redactor().text(line)


def test_an_unclosed_private_key_does_not_swallow_the_rest() -> None:
    rest = "08:39:12 INFO started\nall good\nhello\n"
    text = f"-----BEGIN PRIVATE KEY-----\n{KEY_BODY}\n{KEY_BODY}\n{rest}"

    clean = Redactor().text(text)

    assert f"-----BEGIN PRIVATE KEY-----\n{MASK}\n{rest}" == clean


def test_a_closed_private_key_keeps_its_frame_and_what_follows() -> None:
    frame = "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\nafter it\n"
    body = f"{KEY_BODY}\n{KEY_BODY}\nab12"

    assert frame.format(MASK) == Redactor().text(frame.format(body))


def test_a_private_key_in_indented_yaml_is_masked_line_by_line() -> None:
    text = f"key: |\n  -----BEGIN PRIVATE KEY-----\n  {KEY_BODY}\n  -----END PRIVATE KEY-----\n"

    assert text.replace(KEY_BODY, MASK) == Redactor().text(text)


# --- known values ----------------------------------------------------------------------------


def test_a_known_value_is_masked_in_every_spelling() -> None:
    value = 'p"ss wörd/1'
    coded = base64.b64encode(value.encode()).decode()
    text = f"{value} | {coded} | p%22ss%20w%C3%B6rd%2F1 | {json.dumps(value)}"
    redactor = Redactor([value])

    expected = f'{MASK} | {MASK} | {MASK} | "{MASK}"'
    assert expected == redactor.text(text)
    assert redactor.counts["known"] == 4


def test_known_values_that_are_too_short_or_are_the_mask_are_left_out() -> None:
    text = f"a word and {MASK}"

    assert text == Redactor(["a", "", "redacted"]).text(text)


def test_fresh_keeps_the_known_values_and_begins_to_count_anew() -> None:
    first = Redactor(["hunter2hunter2"])
    first.text("hunter2hunter2")

    second = first.fresh()

    assert second.text("hunter2hunter2") == MASK
    assert second.counts["known"] == 1


# --- data ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("password", "DB_PASSWORD", "dbPassword", "token", "accessToken", "secret", "api_key"),
        *("apiKey", "X-Api-Key", "authorization", "client-key-data", "PGPASSWORD", "clientSecret"),
        *("SECRET_KEY", "privateKey", "SMTP_PASS", "env[JWT_SECRET]", "TOKEN_2", "Set-Cookie"),
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("secretName", "tokenExpiration", "secretKeyRef.name", "secretKeyRef", "passwordHashCost"),
        *("key", "api", "author", "authorizationMode", "nextPageToken", "imagePullSecret", ""),
        *("compass", "keyDataPath", "tokens", "max_token", "image", "pass"),
    ],
)
def test_names_of_other_things_are_left_alone(name: str) -> None:
    assert not is_secret_name(name)


def test_data_is_masked_by_key_by_named_value_and_by_shape() -> None:
    data = {
        "password": SECRET,
        "tokens": 12,
        "token": None,
        "secret": {"secretName": "veza-db", "optional": False},
        "apiKeys": ["x"],
        "cookie": [SECRET, ""],
        "env": [
            {"name": "DB_PASSWORD", "value": SECRET},
            {"name": "LOG_LEVEL", "value": "debug"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "veza", "key": "token"}}},
        ],
        "changes": [{"where": "containers[api].env[JWT_SECRET]", "before": "", "after": SECRET}],
        "note": f"postgres://u:{SECRET}@db/v",
    }

    clean = Redactor().data(data)

    expected = json.loads(json.dumps(data).replace(SECRET, MASK))
    assert expected == clean


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--db-password", SECRET, "--port", "1"], ["--db-password", MASK, "--port", "1"]),
        (["-token", SECRET], ["-token", MASK]),
        (["server", "--api-key", "correct horse"], ["server", "--api-key", MASK]),
        (["--password", "--verbose", "yes"], ["--password", "--verbose", "yes"]),
        (["--password", "$(DB_PASSWORD)"], ["--password", "$(DB_PASSWORD)"]),
        (["--password", {"a": 1}, "plain"], ["--password", {"a": 1}, "plain"]),
        (["--password"], ["--password"]),
        (["--port", "5432", "password", "plain"], ["--port", "5432", "password", "plain"]),
        (["-e", f"DB_PASSWORD={SECRET}"], ["-e", f"DB_PASSWORD={MASK}"]),
        ([f"--db-password={SECRET}", "x"], [f"--db-password={MASK}", "x"]),
        (["sh", "-c", f"serve --token {SECRET}"], ["sh", "-c", f"serve --token {MASK}"]),
    ],
)
def test_the_element_after_a_secret_option_is_its_value(
    given: list[object], expected: list[object]
) -> None:
    redactor = Redactor()

    assert expected == redactor.data({"args": given})["args"]
    assert redactor.counts.total() == json.dumps(expected).count(MASK)


def test_a_secret_object_keeps_its_keys_only() -> None:
    secret = {"kind": "Secret", "data": {"dsn": CODED, "empty": ""}, "type": "Opaque"}

    expected = {"kind": "Secret", "data": {"dsn": MASK, "empty": ""}, "type": "Opaque"}
    assert expected == Redactor().data(secret)


def test_a_config_map_is_left_alone() -> None:
    config = {"kind": "ConfigMap", "data": {"level": "info"}}

    assert config == Redactor().data(config)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_data_keeps_its_shape_and_a_second_pass_changes_nothing(value: object) -> None:
    clean = Redactor().data(value)

    assert clean == Redactor().data(clean)
    assert type(value) is type(clean)


pieces = st.sampled_from(
    [
        *("password", "token: ", "=", ":", '"', "'", "\\", " ", "\n", "x", "Bearer ", "://", "@"),
        *(
            "-----BEGIN PRIVATE KEY-----",
            KEY_BODY,
            "--token ",
            "- --token\n- ",
            "&",
            MASK,
            "kind: Secret\n",
            "data:",
        ),
        *("name: A_TOKEN\n", "value: ", SECRET, "{", "}", "[", "]", ",", ";", "authorization: "),
    ]
)


@given(st.lists(pieces, max_size=12).map("".join))
def test_any_text_keeps_its_masks_in_a_second_pass(text: str) -> None:
    clean = Redactor().text(text)

    assert clean == Redactor().text(clean)


# --- ordinary logs ---------------------------------------------------------------------------

TEMPLATES = (
    '{ip} - - [{clf}] "GET /api/v1/tracks/{n}?page={m} HTTP/1.1" 200 {n} "-" "okhttp/4.12.0"',
    '{ip} - veza [{clf}] "POST /login HTTP/2" 302 0 "https://veza.example/" "Mozilla/5.0 (X11)"',
    "{iso} INFO  [api] request id={hex} method=GET path=/health status=200 ms={m}",
    '{{"level":"info","ts":"{iso}","caller":"api/tracks.go:{m}","msg":"listed","count":{n}}}',
    '{{"level":"warn","ts":"{iso}","msg":"cache miss","key":"track:{n}","ttl":{m}}}',
    'I1124 08:39:12.{n}       1 replica_set.go:{m}] "Finished syncing" key="veza-production/api"',
    'E1124 08:39:12.{n} 1 pod_workers.go:{m}] "Error syncing pod" err="BackOff" pod="v/api"',
    "{iso} ERROR sqlalchemy.pool QueuePool limit of size 5 overflow 10 reached, timeout {m}",
    '  File "/app/veza/tracks.py", line {n}, in list_tracks',
    "    return self.session.execute(query, key=primary_key, token_count={n})",
    'psycopg.OperationalError: connection to server at "{ip}", port 5432 failed: timeout',
    'Normal  Pulled  {m}s  kubelet  Container image "registry.veza.example/api:v1.{m}" present',
    "Warning  Unhealthy  {m}s (x{n} over 2m)  kubelet  Readiness probe failed: HTTP 503",
    "      /var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-{m} (ro)",
    "    SecretName:  veza-backend-tls-{m}",
    "    TokenExpirationSeconds:  3607",
    "{iso} DEBUG auth: token accepted for user {n}, expires in {m} s",
    "{iso} WARN  auth: invalid token: signature verification failed for user {n}",
    "{iso} INFO  auth: password changed for user {n}",
    "{iso} INFO  session cookie refreshed, ttl={m}",
    "{iso} INFO  migrated schema 11 -> 12 in {m} ms, checksum={hex}",
    "deployment.apps/veza-backend-api-{m} image updated",
    'Waiting for deployment "veza-backend-api" rollout to finish: {m} out of {n} updated',
    "veza-backend-api-{hex}   1/1   Running   {m} (5m ago)   3d4h   {ip}   node-{m}",
    "{iso} INFO  connected to postgres://veza@db:5432/veza pool={m}",
    "{iso} INFO  fetching https://cdn.veza.example/art/{hex}.jpg?w={n}&h={m}",
    "{iso} INFO  kafka consumer group=veza-stream partition={m} offset={n} lag=0",
    "{iso} INFO  s3 put bucket=veza-tracks key=audio/{hex}.flac bytes={n}",
    "goroutine {n} [running]: main.(*Server).handle(0xc000{m}, {{0x{hex}, 0x10}})",
    '{iso} INFO  secret "veza-db" reloaded from volume, generation {m}',
    "{iso} ERROR csrf token missing or incorrect for /upload",
    "    - secretRef: {{name: veza-env-{m}}}",
    "{iso} INFO  trace_id={hex} span_id={hex} api_key_id={n}",
    "{iso} INFO  commit {hex} author=dev-{m}@veza.example deployed",
)


def ordinary_lines(count: int) -> list[str]:
    """Believable log lines, the same every time."""
    random = Random(7)
    start = datetime(2026, 11, 24, 8, 39, 12, tzinfo=UTC)
    lines = []
    for index in range(count):
        at = start + timedelta(milliseconds=37 * index)
        values = {
            "ip": f"10.0.{random.randrange(256)}.{random.randrange(256)}",
            "clf": f"{at:%d/%b/%Y:%H:%M:%S} +0000",
            "iso": at.isoformat(),
            "hex": f"{random.getrandbits(128):032x}",
            "n": random.randrange(100, 99999),
            "m": random.randrange(2, 99),
        }
        lines.append(TEMPLATES[index % len(TEMPLATES)].format(**values))
    return lines


def test_ordinary_log_lines_stay_as_they_are() -> None:
    lines = ordinary_lines(3400)

    clean = Redactor().text("\n".join(lines)).split("\n")

    changed = [pair for pair in zip(lines, clean, strict=True) if pair[0] != pair[1]]
    assert not changed


def test_secrets_between_ordinary_lines_are_the_only_ones_changed() -> None:
    lines = ordinary_lines(340)
    planted = {10 * n: text for n, (text, _) in enumerate(PLANTED.values()) if "\n" not in text}
    lines = [planted.get(index, line) for index, line in enumerate(lines)]

    clean = Redactor().text("\n".join(lines)).split("\n")

    changed = {
        i for i, (before, after) in enumerate(zip(lines, clean, strict=True)) if before != after
    }
    assert {index for index in planted if index < len(lines)} == changed


# --- notebooks -------------------------------------------------------------------------------


def test_a_notebook_is_redacted_everywhere() -> None:
    notebook = {
        "metadata": {"papermill": {"parameters": {"api_token": SECRET, "service": "veza"}}},
        "cells": [
            {
                "cell_type": "code",
                "source": ["x = 1\n", f"password = '{SECRET}'"],
                "outputs": [
                    {"output_type": "stream", "text": f"DB_PASSWORD={SECRET}\n"},
                    {
                        "output_type": "display_data",
                        "data": {"text/html": [f'<b data-token="{SECRET}">\n', "ok</b>"]},
                    },
                    {
                        "output_type": "error",
                        "ename": "E",
                        "evalue": f"token={SECRET}",
                        "traceback": ["-----", f"dsn postgres://u:{SECRET}@db/v", "E: x"],
                    },
                ],
            }
        ],
    }

    clean = redact_notebook(notebook, Redactor())

    expected = json.loads(json.dumps(notebook).replace(SECRET, MASK))
    assert expected == clean


def test_a_secret_that_spans_lines_of_an_output_is_found() -> None:
    lines = ["-----BEGIN PRIVATE KEY-----\n", KEY_BODY + "\n", "-----END PRIVATE KEY-----\n"]

    clean = redact_notebook({"outputs": [{"text": lines}]}, Redactor())

    expected = [lines[0], f"{MASK}\n", lines[2]]
    assert expected == clean["outputs"][0]["text"]
