r"""What secrets look like in text: the names that hold them and the shapes they have.

`redact` applies these; nothing here keeps state. Patterns see one line at a time and only
lines that hold one of their hints, so that a megabyte of ordinary log costs next to nothing.

A secret is recognised by one of two signs:

* the *name* it is assigned to (`DB_PASSWORD=…`, `"apiKey": "…"`, `--token …`), or
* its own *shape* (`eyJ….….…`, `AKIA…`, `scheme://user:…@host`, `Bearer …`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

MASK = "[redacted]"

# --- names -----------------------------------------------------------------------------------

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_ENDINGS = (
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "authorization",
    "cookie",
)
_SECRET_PAIRS = frozenset(
    {
        *((first, "key") for first in ("api", "access", "secret", "private", "encryption")),
        *((first, "key") for first in ("signing", "account", "shared", "master", "auth")),
        ("key", "data"),
        ("connection", "string"),
    }
)
# A page token, a token budget, the name of a pull secret: nothing to hide.
_HARMLESS_BEFORE = {
    "token": frozenset(
        {"page", "next", "continue", "continuation", "sync", "resume", "max", "min"}
    ),
    "secret": frozenset({"pull", "existing", "tls"}),
}


def is_secret_name(name: str) -> bool:
    """Say whether a value under this name is a secret: by how the name ends.

    `DB_PASSWORD`, `apiKey`, `client-key-data` and `env[TOKEN]` are; `secretName`,
    `tokenExpiration` and `secretKeyRef.name` are not.
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if (before, last) in _SECRET_PAIRS or (before and last == "pass"):
        return True
    if before in _HARMLESS_BEFORE.get(last, frozenset()):
        return False
    return bool(last.endswith(_SECRET_ENDINGS))


# --- values ----------------------------------------------------------------------------------

# Words that stand where a value would, in messages about values.
_SPEAKING = re.compile(
    r"true|false|null|none|nil|yes|no|on|off|ok|set|unset|empty|missing|required|invalid|incorrect"
    r"|wrong|expired|unknown|undefined|changed|unchanged|enabled|disabled|optional|found|valid"
    r"|string|str|bytes|object|rejected|accepted|revoked|denied|failed|error|is|was|not|must"
    r"|cannot|should|has|does|the|a|an|for|from|in|of|to|and|or|with"
)
# Numbers under a secret's name that are counts: `token=17`.
_SMALL_NUMBER = re.compile(r"\d{1,5}")
_REFERENCE = re.compile(r"\{\"valueFrom\"|\$[({A-Za-z_]|\{\{|%[sdrv(]|<[a-z]|\*+$|x+$|\.\.\.|…")


def is_harmless(value: str) -> bool:
    """Say whether this is no secret although it stands where one would: `false`, `${TOKEN}`."""
    return (
        not value
        or value.startswith(MASK[:-1])
        or _SPEAKING.fullmatch(value.lower().strip(".,:;!?")) is not None
        or _REFERENCE.match(value) is not None
    )


# --- rules -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of secret.

    Attributes:
        name: under which it is counted.
        hints: lower-case strings of which a line must hold one before `pattern` is tried.
        pattern: finds it.
        secret: gives the span of the secret inside the line, or None where it is none.
        gate: a quicker pattern that the lower-case line must hold as well.
    """

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    secret: Callable[[re.Match[str]], tuple[int, int] | None]
    gate: re.Pattern[str] | None = None

    def may_apply(self, low: str, hints: tuple[str, ...]) -> bool:
        """Say whether a lower-case line is worth a look."""
        return any(hint in low for hint in hints) and (
            self.gate is None or self.gate.search(low) is not None
        )


def _group(match: re.Match[str]) -> tuple[int, int] | None:
    return None if is_harmless(match["secret"]) else match.span("secret")


def _named(match: re.Match[str]) -> tuple[int, int] | None:
    return _group(match) if is_secret_name(match["name"]) else None


# Colours inside a traceback stand between name, sign and value.
_ANSI = r"(?:\x1b\[[0-9;]*m)*"
_QUOTE = r"(?:\\{0,3}[\"'`]|&quot;|&#34;|&#39;|&#x27;)"
# A bare value ends at white space, closing brackets before white space, a quote, a tag, an
# escaped line end, or where the next `name=` of a query string or list begins.
_BARE_END = (
    r"(?=[,;.)\]}]*(?:\s|$)|[\"'<>`]|\x1b|\\[nrt\"']"
    r"|[&;,](?:amp;)?[\w.\[\]%-]{1,64}[=:]|&quot;|&#34;|&#39;|&#x27;)"
)
_VALUE = (
    rf"(?:(?P<quote>{_QUOTE})(?P<quoted>(?:(?!(?P=quote))(?:\\.|[^\\]|\\$)){{0,65536}}+)"
    rf"|(?P<bare>[^\s\"'`\x1b]\S{{0,4095}}?){_BARE_END})"
)
_KEY_KINDS = "api access secret private encryption signing account shared master auth"
# Every alternative begins with its own letters: that lets the search skip what cannot match.
_NAME_END = "|".join(
    (
        "password|passwd|passphrase|pwd|_pass|-pass|secret|token|authorization|cookie",
        "key[_-]?data|connection[_-]?string",
        *(f"{kind}[_. -]?key" for kind in _KEY_KINDS.split()),
    )
)
_AFTER_NAME = rf"(?:_?\d{{1,2}})?[\])]{{0,2}}{_ANSI}"
_ASSIGNMENT_GATE = re.compile(rf"(?:{_NAME_END}){_AFTER_NAME}{_QUOTE}?[ \t]*{_ANSI}[=:]")
_ASSIGNMENT = re.compile(
    rf"(?P<end>(?i:{_NAME_END})){_AFTER_NAME}(?P<close>{_QUOTE}?)"
    rf"(?P<sign>[ \t]*{_ANSI}(?:=>|:=|=(?!=)|:(?![:/])){_ANSI}[ \t]*){_ANSI}{_VALUE}"
)
_KEY_TAIL = re.compile(r"[\w.\[\]-]{0,80}$")
_FIELD_START = re.compile(r"(?:^|[{(\[,;|&?\"'])[\s+-]*(?:\x1b\[[0-9;]*m)*$")
_LINE_START = re.compile(r"[\s+-]*$")
_SCHEME = re.compile(r"(?i:bearer|basic|token|negotiate|apikey|digest)\s+(?=\S)")
_REST_OF_LINE = re.compile(r"\s+#|[ \t\r]*$")
_OBJECT_NAME = re.compile(r"[a-z0-9-]{1,63}/[a-z0-9.-]{1,253}$")
_STRUCTURE = re.compile(r"[{\[(]|[A-Za-z_][\w.]*\(")
_NOT_A_WORD = re.compile(r".*[^A-Za-z.,:;!?()'-]")


def _assigned(match: re.Match[str]) -> tuple[int, int] | None:
    """The value of an assignment, if its name is a secret's and it is no message about one."""
    line, start = match.string, match.start()
    tail = _KEY_TAIL.search(line, max(0, start - 80), start)
    key_start = tail.start() if tail else start
    name = line[key_start : match.end("end")]
    if not is_secret_name(name):
        return None
    if match["quote"] is not None:
        return _literal(match, name, match.span("quoted"))
    tight = match["close"] or match["sign"] in ("=", ":", ":=", "=>")
    if tight and not (match["sign"] == ":" and not match["close"]):
        return _literal(match, name, match.span("bare"))
    return _said(match, name, key_start)


def _said(match: re.Match[str], name: str, key_start: int) -> tuple[int, int] | None:
    """The value after `name: ` or `name = `: YAML, an ini file, or a sentence."""
    line, (start, end) = match.string, match.span("bare")
    before, rest = line[:key_start], line[end:].strip(" \t\r,;)}]")
    if rest and rest[0] not in "#\"'`":
        # Several words: a pass phrase in YAML, or prose. Only the first stands at line start.
        phrase = name.lower().endswith(("password", "passwd", "passphrase"))
        if not phrase or rest == "bytes" or not _LINE_START.fullmatch(before):
            return None
        close = _REST_OF_LINE.search(line, end)
        return (
            None if is_harmless(match["bare"]) else (start, close.start() if close else len(line))
        )
    if _FIELD_START.search(before) or _NOT_A_WORD.match(match["bare"]):
        return _literal(match, name, (start, end))
    return None


def _literal(match: re.Match[str], name: str, span: tuple[int, int]) -> tuple[int, int] | None:
    """The span without an authorisation scheme; None where the value is no secret after all."""
    scheme = _SCHEME.match(match.string, *span)
    start, end = scheme.end() if scheme else span[0], span[1]
    value, low = match.string[start:end], name.lower()
    password = low.endswith(("password", "passwd"))
    harmless = (
        is_harmless(value)
        or (_SMALL_NUMBER.fullmatch(value) is not None and not password)
        or (low.endswith("pwd") and value.startswith("/"))
        or (low.endswith("secret") and _OBJECT_NAME.match(value) is not None)
        # A list, an object or a call is no literal: its parts are looked at on their own.
        or (match["quote"] is None and _STRUCTURE.match(value) is not None)
    )
    return None if harmless else (start, end)


def _option(match: re.Match[str]) -> tuple[int, int] | None:
    """The word after `--token`, without its quotes."""
    start, end = match.span("secret")
    value = match["secret"]
    if value.startswith("-") or not is_secret_name(match["name"]):
        return None
    if value[0] in "\"'":
        start, end, value = start + 1, end - 1, value[1:-1]
    return None if is_harmless(value) else (start, end)


_TOKEN_PREFIXES = (
    r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}"
    r"|sk-[A-Za-z0-9_-]{20,}|AIza[A-Za-z0-9_-]{30,}|npm_[A-Za-z0-9]{30,}"
    r"|hv[sb]\.[A-Za-z0-9_-]{20,}|dckr_pat_[A-Za-z0-9_-]{20,}|sha256~[A-Za-z0-9_-]{30,}"
)

_TOKEN_HINTS = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "sk_", "rk_"),
    *("pk_", "sk-", "aiza", "npm_", "hvs.", "hvb.", "dckr_pat_", "sha256~"),
)

RULES: tuple[Rule, ...] = (
    Rule(
        "jwt",
        ("eyj",),
        re.compile(r"\b(?P<secret>eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?)"),
        _group,
    ),
    Rule(
        "aws-key",
        ("akia", "asia"),
        re.compile(r"\b(?P<secret>(?:AKIA|ASIA)[A-Z0-9]{16})\b"),
        _group,
    ),
    Rule(
        "known-token",
        _TOKEN_HINTS,
        re.compile(rf"\b(?P<secret>{_TOKEN_PREFIXES})"),
        _group,
    ),
    Rule(
        "webhook",
        ("hooks.",),
        re.compile(r"hooks\.[\w.-]+/(?:services|workflows)/(?P<secret>[\w/-]{12,})"),
        _group,
    ),
    Rule(
        "url-password",
        ("://",),
        re.compile(
            r"://[^\s:/@\"'<>]{0,256}:(?P<secret>(?!\d{1,5}[/?#])[^\s/\"'<>]{1,512})@(?=[\w\[$.-])"
        ),
        _group,
    ),
    Rule(
        "url-password",
        ("://",),
        re.compile(r"://(?P<secret>[\w-]{20,256})@(?=[\w\[$.-])"),
        _group,
    ),
    Rule(
        "bearer",
        ("bearer",),
        re.compile(r"(?i:bearer)\s+(?P<secret>(?=\S*\d)[\w.~+/-]{16,}=*)"),
        _group,
    ),
    Rule(
        "environment",
        ("value", "content"),
        re.compile(
            rf"(?P<q>{_QUOTE})name(?P=q)\s*:\s*(?P=q)(?P<name>[\w.-]{{1,128}})(?P=q)\s*,\s*"
            rf"(?P=q)value(?P=q)\s*:\s*(?P=q)(?P<secret>(?:(?!(?P=q))(?:\\.|.)){{1,4096}})"
        ),
        _named,
    ),
    Rule(
        "attribute",
        ("value=", "content="),
        re.compile(
            r"\b(?:type|name|id)=[\"']?(?P<name>[\w.-]{1,128})[\"']?\s[^<>]{0,256}?"
            r"\b(?:value|content)=(?P<q>[\"'])(?P<secret>(?:(?!(?P=q)).){1,4096})(?P=q)"
        ),
        _named,
    ),
    Rule(
        "header",
        ("authorization",),
        re.compile(
            r"(?i:authorization)\W{1,8}(?i:bearer|basic|token|negotiate|apikey|digest)\s+"
            r"(?P<secret>(?=\S*\d|\S+\s*(?:[\"'\\,;]|$))[^\s\"'`\\,;<>]+)"
        ),
        _group,
    ),
    Rule(
        "header",
        ("cookie",),
        re.compile(r"(?i:cookie)[\"']?[:=]\s*[\"']?(?P<secret>[\w.%-]+=[^\"'\n]+)"),
        _group,
    ),
    Rule(
        "option",
        ("--",),
        re.compile(
            r"(?<![\w-])--(?P<name>\w[\w-]{0,64})(?:\s+|[\"'],\s*)"
            r"(?P<secret>\"[^\"]*\"|'[^']*'|[^\s\"',;)\]]+)"
        ),
        _option,
    ),
    Rule(
        "option",
        ("curl", "wget", "http"),
        re.compile(r"\s(?:-u|--user)[\s=]?[\"']?[\w.@-]{1,128}:(?P<secret>[^\s\"']{1,256})"),
        _group,
    ),
    Rule(
        "option",
        ("mysql", "sshpass", "docker login", "mariadb"),
        re.compile(r"\s-p\s?(?![\s\d]{0,6}:)(?P<secret>[^\s\"'-][^\s\"']{2,255})"),
        _group,
    ),
    Rule(
        "assignment",
        ("pass", "pwd", "secret", "token", "key", "authorization", "cookie", "connection"),
        _ASSIGNMENT,
        _assigned,
        _ASSIGNMENT_GATE,
    ),
)
