"""What differs by nature from run to run, replaced by what it is.

Names made by a server, identities, versions, times, addresses, nodes. Nothing else: what is left
must be equal. `ELSEWHERE` names the few things that the recorded cluster had and ours never will.
"""

from __future__ import annotations

import copy
import json
import re
from typing import Any

Json = dict[str, Any]

_HASH = r"[bcdfghjklmnpqrstvwxz2456789]{6,10}"
_POD = r"[bcdfghjklmnpqrstvwxz2456789]{5}"
_OWNER = r"(?P<owner>\b(?:veza|t)-[a-z0-9-]*?[a-z0-9]|\bq)"
# The stand-in for a kubelet that the recordings were made with called itself so.
_STAND_IN = {"OpenAPI-Generator": "kubelet"}
_ELSEWHERE_VOLUME = "openshift-service-ca.crt"
_ELSEWHERE_LINES = re.compile(
    rf" *ConfigMapName: +{_ELSEWHERE_VOLUME}\n *ConfigMapOptional: +<nil>\n"
)
_TEXT = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UID"),
    (re.compile(_OWNER + f"-{_HASH}-{_POD}" + r"(?![a-z0-9])"), r"\g<owner>-HASH-POD"),
    (re.compile(_OWNER + f"-{_HASH}" + r"-?(?![\w-])"), r"\g<owner>-HASH"),
    (re.compile(rf"\b(veza-daemonset|migrate-[a-z]+)-{_POD}\b"), r"\1-POD"),
    (re.compile(r"kube-api-access-\w{5}"), "kube-api-access-XXXXX"),
    (re.compile(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000"), "DATE"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( \+0000|Z)"), "TIME"),
    (re.compile(r"sha256:\w{64}"), "sha256:DIGEST"),
    (re.compile(r"containerd://\w{64}"), "containerd://ID"),
    (re.compile(r"veza-node-\d"), "NODE"),
    (re.compile(r"\b10\.(\d+)\.\d+\.\d+\b"), "ADDRESS"),
    (re.compile(r"127\.0\.0\.1:\d+"), "SERVER"),
    (re.compile(r"\b127\.0\.0\.1\b"), "ADDRESS"),
    # Which of the client's two timers fires first is chance.
    (re.compile(r"net/http: request canceled(?= \(Client)"), "context deadline exceeded"),
    (re.compile(r" \(Client\.Timeout exceeded while awaiting headers\)"), ""),
    (re.compile(r"too old resource version: 1 \(\d+\)"), "too old resource version: 1 (N)"),
    (re.compile(r"\S*/(LIVE|MERGED)-\d+/"), r"\1/"),
    (re.compile(r"\.18[0-9a-f]{14}\b"), ".EVENT"),
    (re.compile(r"default-scheduler-\w+"), "default-scheduler-HOST"),
    (re.compile(r"\b6\.\d+\.\d+-[\w-]+"), "KERNEL"),
    (_ELSEWHERE_LINES, ""),
    (re.compile(r'(resourceVersion\\*"?:\s*\\*")\d+'), r"\1VERSION"),
    (re.compile(r'(pod-template-hash[":=\\ ]+)[a-z0-9]+'), r"\1HASH"),
]
# The container of the small Deployments: it has a readiness probe here, because the stand-in's
# broken pods were unready without one.
_PROBED, _PROBED_OWNED = "c", 'k:{"name":"c"}'
_WORDS = {
    "resourceVersion": "VERSION",
    "pod-template-hash": "HASH",
    "controller-revision-hash": "HASH",
    "controller.kubernetes.io/hash": "HASH",
    "nodeName": "NODE",
    "hostIP": "ADDRESS",
    "ip": "ADDRESS",
    "continue": "CONTINUE",
    # Of the recorded server's build, and of the machines that it pretended to have.
    "gitCommit": "COMMIT",
    "machineID": "MACHINE",
    "providerID": "MACHINE",
    "Port": "PORT",
    "pods": "ROOM",
}


def text(value: str) -> str:
    """A text without what differs."""
    for pattern, word in _TEXT:
        value = pattern.sub(word, value)
    return value


# The stand-in for a kubelet did not probe.
_UNPROBED = "Readiness probe failed"


def probed(value: str) -> str:
    """A text without the lines that tell of probes."""
    kept = [line for line in value.splitlines(keepends=True) if _UNPROBED not in line]
    return "".join(kept)


def body(value: Any, name: str = "") -> Any:
    """A document without what differs; lists of objects in one order."""
    if isinstance(value, dict):
        return {text(key): body(each, key) for key, each in _own(value).items()}
    if isinstance(value, list):
        return _ordered([body(each, name) for each in value], name)
    if name in _WORDS:
        return _WORDS[name]
    if isinstance(value, str):
        return text(_STAND_IN.get(value, value))
    return value


def _own(value: Json) -> Json:
    """Without what only the recorded cluster had."""
    sources = value.get("sources")
    if isinstance(sources, list):
        value = copy.copy(value)
        value["sources"] = [each for each in sources if _ELSEWHERE_VOLUME not in json.dumps(each)]
    if value.get("name") == _PROBED:
        value = {key: each for key, each in value.items() if key != "readinessProbe"}
    if _PROBED_OWNED in value:
        owned = {k: v for k, v in value[_PROBED_OWNED].items() if k != "f:readinessProbe"}
        value = {**value, _PROBED_OWNED: owned}
    return value


def _ordered(values: list[Any], name: str) -> list[Any]:
    if name in ("items", "managedFields", "ownerReferences"):
        return sorted(values, key=lambda each: json.dumps(each, sort_keys=True))
    return values


_KLOG = re.compile(r"^[IEW]\d{4} [\d:.]+ +\d+ ")
_HEADER = re.compile(r"-H '[^']*'|-H \"[^\"]*\"")
_TOOK = re.compile(r" in \d+ milliseconds")


def requests(value: str) -> str:
    """What kubectl -v=9 tells of its requests and of the codes that it got."""
    lines = [_headers_sorted(_KLOG.sub("", line)) for line in value.splitlines()]
    told = [
        line for line in lines if "curl -v" in line or "Request Body" in line or _TOOK.search(line)
    ]
    return text("\n".join(_TOOK.sub("", line) for line in told))


def lines(value: str) -> str:
    """Every line that is printed, once, without klog's times."""
    return text("\n".join(sorted({_KLOG.sub("", line) for line in value.splitlines()})))


def _headers_sorted(line: str) -> str:
    """A curl line with its headers in one order; Go has none."""
    headers = _HEADER.findall(line)
    return " ".join([*sorted(headers), _HEADER.sub("", line)]) if headers else line


_AGE = re.compile(r"(?<![\w.=-])(\d+[dhms]){1,2}(?=[\s)]|$)")
_RUN = re.compile(r" {2,}")


def described(value: str) -> str:
    """What describe prints: without ages and widths, its events in one order."""
    lines = [
        _RUN.sub("  ", _AGE.sub("AGE", line)).rstrip() for line in probed(text(value)).splitlines()
    ]
    start = next((n for n, line in enumerate(lines) if line.startswith("Events:")), len(lines))
    return "\n".join([*lines[:start], *sorted(lines[start:])])


def rows(value: str) -> str:
    """A printed table: without ages and widths, its rows in one order."""
    lines = [
        _RUN.sub("  ", _AGE.sub("AGE", text(line))).rstrip() for line in probed(value).splitlines()
    ]
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line:
            blocks[-1].append(line)
        else:
            blocks.append([])
    return "\n\n".join("\n".join([*block[:1], *sorted(block[1:])]) for block in blocks)
