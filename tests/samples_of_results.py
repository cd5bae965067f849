"""Literal results, as a bad release of veza-backend-api gives them, for tests of what is shown."""

from datetime import UTC, datetime, timedelta

from veza_nb.accounts import Cluster, Record, durations_of
from veza_nb.checklist import conclude
from veza_nb.checks import Baseline, Check
from veza_nb.cluster.client import Permission
from veza_nb.detect import Detection
from veza_nb.evidence import Evidence, Finding
from veza_nb.findings import Diagnosis
from veza_nb.glances import Glance
from veza_nb.guards import Guard
from veza_nb.objects import Deployment, ObjectMeta, Workload
from veza_nb.plans import Plan
from veza_nb.podtemplates import Change
from veza_nb.preflight import Preflight
from veza_nb.revisions import History, Revision, Standing
from veza_nb.rollout import RolloutState
from veza_nb.samples import Probe, Sample
from veza_nb.timeline import Band, Curve, Mark, Panel, Timeline
from veza_nb.troubles import Trouble
from veza_nb.vitals import Vitals
from veza_nb.vocabulary import Decision, Item, Level, Outcome, RolloutPhase, Severity, Verdict

NOW = datetime(2026, 11, 24, 8, 39, 12, tzinfo=UTC)
REGISTRY = "registry.veza.example/veza-backend-api"
DESCRIBE = "kubectl -n veza-production describe pod/veza-backend-api-7d9c6b5f4-x2x8l"


def ago(**parts: float) -> datetime:
    return NOW - timedelta(**parts)


def pod(name: str) -> str:
    return f"veza-backend-api-7d9c6b5f4-{name}"


CRASHING = Finding(
    reason="CrashLoopBackOff",
    severity=Severity.CRITICAL,
    summary="2 of 2 pods of the new template crash: exit code 1, 4 restarts.",
    evidence=(
        Evidence(
            "Pod",
            pod("x2x8l"),
            "back-off 40s restarting failed container",
            ago(seconds=50),
            DESCRIBE,
        ),
        Evidence(
            "Pod",
            pod("q7k2m"),
            "exit code 1: <panic> missing DATABASE_URL",
            ago(minutes=2),
            DESCRIBE,
        ),
    ),
    from_release=True,
)
FAILING = Finding(
    reason="ProbeFailing",
    severity=Severity.CRITICAL,
    summary="/api/v1/tracks: 4 of 5 requests failed (HTTP 503: 3, timeout: 1), HTTP 200 expected.",
    evidence=(
        Evidence(
            "Probe",
            "http://127.0.0.1:30080/api/v1/tracks",
            "4 of 5 requests failed",
            ago(seconds=3),
            "curl -sS -o /dev/null http://127.0.0.1:30080/api/v1/tracks",
        ),
    ),
    from_release=True,
)
OLD_SERVE = Finding(
    reason="OldPodsServing",
    severity=Severity.INFO,
    summary="2 pods of older revisions still serve.",
    evidence=(),
    from_release=None,
)
UNHEALTHY = Finding(
    reason="Unhealthy",
    severity=Severity.WARNING,
    summary="12 warning events Unhealthy about 2 pods: Readiness probe failed: HTTP 503.",
    evidence=(Evidence("Event", "Unhealthy", "Readiness probe failed: HTTP 503", None, ""),),
    from_release=True,
)

DIAGNOSIS = Diagnosis(
    findings=(CRASHING, FAILING, UNHEALTHY, OLD_SERVE),
    decision=Decision.ROLL_BACK,
    argument=(
        "The rollout of revision 4 is stuck: 0 of 3 pods available, 2 of older revisions.",
        CRASHING.summary,
        FAILING.summary,
        "2 endpoints answered 6 of 10 requests as expected.",
        "Only pods of the new template suffer; the 2 of older revisions serve: "
        "the release is to blame.",
        "Revision 3 was in service for 3 d 4 h before it was replaced.",
        "So: roll back.",
    ),
)
HEALTHY = Diagnosis(
    findings=(),
    decision=Decision.DO_NOT,
    argument=(
        "The rollout of revision 3 is complete: 3 of 3 pods available, 0 of older revisions.",
        "2 endpoints answered 10 of 10 requests as expected.",
        "Nothing was found that a rollback would cure.",
        "So: do not roll back.",
    ),
)
UNCLEAR = Diagnosis(
    findings=(UNHEALTHY,),
    decision=Decision.UNCLEAR,
    argument=("No probe data: nobody asked the service itself.", "Look again.", "So: unclear."),
)


def revision(number: int, tag: str, standing: Standing, **more: object) -> Revision:
    facts: dict[str, object] = {
        "change_cause": "",
        "created": None,
        "in_service": None,
        "earlier_numbers": (),
        "replicas": 0,
        "ready": 0,
        "available": 0,
        "reasons": (),
        **more,
    }
    return Revision(
        number=number,
        replicaset=f"veza-backend-api-{tag}",
        template_hash=tag,
        template={},
        images={"backend-api": f"{REGISTRY}:{tag}"},
        standing=standing,
        **facts,  # type: ignore[arg-type]
    )


LIVE = revision(
    4,
    "v1.3.0",
    Standing.CURRENT,
    created=ago(minutes=6),
    in_service=timedelta(minutes=6),
    replicas=2,
    change_cause="release v1.3.0 (pipeline 8812)",
)
GOOD = revision(
    3,
    "v1.2.4",
    Standing.GOOD,
    created=ago(days=9),
    in_service=timedelta(days=3, hours=4),
    earlier_numbers=(1,),
    replicas=2,
    ready=2,
    available=2,
    change_cause="release v1.2.4",
    reasons=("2 pods of it are available now", "in service for 3 d 4 h before it was replaced"),
    served=((ago(days=9), ago(days=5, hours=20)),),
    vitals=Vitals(
        changed_by=("kubectl-set",),
        size=3,
        fully_available=True,
        fully_available_at=ago(days=9),
        restarts=1,
        last_restart=ago(hours=2),
    ),
)
WORSE = revision(
    2,
    "v1.2.5",
    Standing.BAD,
    created=ago(days=6),
    reasons=("marked bad: memory leak",),
)
HISTORY = History(
    revisions=(LIVE, GOOD, WORSE),
    current=LIVE,
    recommended=GOOD,
    reasons=("Revision 3 was in service for 3 d 4 h, and 2 of its pods still serve.",),
    revision_history_limit=10,
)
LONG_HISTORY = History(
    revisions=tuple(
        revision(
            number,
            f"v1.{number}.0",
            Standing.CURRENT
            if number == 50
            else Standing.GOOD
            if number == 7
            else Standing.UNKNOWN,
            created=ago(days=51 - number),
        )
        for number in range(50, 0, -1)
    ),
    current=None,
    recommended=revision(7, "v1.7.0", Standing.GOOD),
    reasons=("Revision 7: marked 'good' after an earlier incident.",),
    revision_history_limit=50,
)
NO_CHOICE = History(
    revisions=(LIVE,),
    current=LIVE,
    recommended=None,
    reasons=("There is no earlier revision: nothing to go back to.",),
    revision_history_limit=0,
)

PLAN = Plan(
    id="p-0a1b2c3d4e5f",
    incident="20261124-083912-veza-backend-api-3f9c",
    service="veza-backend-api",
    namespace="veza-production",
    workload="veza-backend-api",
    uid="6e0e2c5a-1111-4222-8333-944455556666",
    generation=7,
    replicas=3,
    from_revision=4,
    to_revision=3,
    template={},
    template_hash="v1.2.4",
    images_before=LIVE.images,
    images_after=GOOD.images,
    changes=(
        Change("containers[backend-api].image", f"{REGISTRY}:v1.3.0", f"{REGISTRY}:v1.2.4"),
        Change("containers[backend-api].env[DB_PASSWORD]", "hunter2-new", "hunter2-old"),
        Change("containers[backend-api].env[FEATURE_WAVEFORM]", "on", ""),
        Change("containers[backend-api].resources.limits.memory", "256Mi", "512Mi"),
    ),
    guards=(
        Guard(
            "last-applied",
            Level.WARN,
            "The file that was applied last names v1.3.0.",
            "Change the file, or the next `kubectl apply` brings the bad release back.",
        ),
        Guard("rollout-in-progress", Level.INFO, "A rollout is going on.", "That is normal here."),
    ),
    not_restored=(
        "ConfigMaps and Secrets: configmap/veza-backend-env stays as it is now.",
        "Replicas, strategy, Service and autoscaler stay as they are.",
        "The database: its schema stays as the new release left it.",
    ),
    command="kubectl -n veza-production rollout undo deployment/veza-backend-api --to-revision=3",
    patch=(),
    noop=False,
    reasons=("Revision 3 was in service for 3 d 4 h, and 2 of its pods still serve.",),
)
BLOCK = Guard(
    "paused",
    Level.BLOCK,
    "The Deployment is paused: an undo would roll out nothing.",
    "Find out who paused it, then `kubectl rollout resume deployment/veza-backend-api`.",
)

STUCK = RolloutState(
    phase=RolloutPhase.STUCK,
    observed=True,
    desired=3,
    updated=2,
    old=2,
    ready=0,
    available=0,
    revision=4,
    template_hash="v1.3.0",
    troubles=(
        Trouble(pod("x2x8l"), "backend-api", "CrashLoopBackOff", "back-off 40s", 4, new=True),
        Trouble(pod("q7k2m"), "backend-api", "CrashLoopBackOff", "back-off 20s", 3, new=True),
    ),
    reasons=("2 pods of the new template crash again and again.",),
    deadline_exceeded=False,
    old_ready=2,
)
MIDWAY = RolloutState(
    phase=RolloutPhase.PROGRESSING,
    observed=True,
    desired=3,
    updated=2,
    old=1,
    ready=1,
    available=1,
    revision=5,
    template_hash="v1.2.4",
    troubles=(),
    reasons=("1 of 3 pods is available.",),
    deadline_exceeded=False,
)

PROBES = (
    Probe(
        "health",
        "http://127.0.0.1:30080/health",
        200,
        1.0,
        tuple(Sample(ago(seconds=n), 0.012 + n / 1000, 200) for n in range(5)),
    ),
    Probe(
        "/api/v1/tracks",
        "http://127.0.0.1:30080/api/v1/tracks",
        200,
        0.5,
        (Sample(NOW, 2.0, None, "timeout"), Sample(NOW, 0.034, 503), Sample(NOW, 0.041, 200)),
    ),
)

BACK = conclude(
    (
        Check(
            "observed", "The controller has seen the change", Verdict.PASS, ("generation 8 seen",)
        ),
        Check(
            "updated",
            "All pods are of the planned template",
            Verdict.PASS,
            ("3 of 3",),
            item=Item.PODS,
        ),
        Check("old-gone", "No old pod is left", Verdict.PASS, ("0 old pods",)),
        Check(
            "probe-health",
            "health answers as before",
            Verdict.PASS,
            ("5 of 5", "95 % in 16 ms"),
            item=Item.HEALTH,
        ),
    ),
)
NOT_BACK = conclude(
    (
        *BACK.checks[:2],
        Check(
            "probe-tracks",
            "/api/v1/tracks answers",
            Verdict.INCONCLUSIVE,
            ("it was not asked",),
            item=Item.ENDPOINTS,
        ),
        Check(
            "soak",
            "It held for 10 s",
            Verdict.FAIL,
            (f"{pod('x2x8l')} restarted 2 times.",),
            item=Item.PODS,
        ),
    ),
)

COURSE = Timeline(
    begin=ago(seconds=90),
    end=NOW,
    bands=(
        Band(
            "revision 5, was 3",
            "target",
            (
                (ago(seconds=88), 2.0),
                (ago(seconds=87), None),
                (ago(seconds=40), 2.0),
                (ago(seconds=35), 3.0),
                (NOW, 3.0),
            ),
        ),
        Band("revision 4", "left", ((ago(seconds=88), 2.0), (ago(seconds=35), 0.0))),
    ),
    desired=3,
    panels=(
        Panel(
            "Failed requests",
            "%",
            (
                Curve("health", ((ago(seconds=88), 100.0), (ago(seconds=30), 0.0), (NOW, 0.0))),
                Curve("/api/v1/tracks", ((ago(seconds=88), None), (NOW, 0.0))),
            ),
        ),
        Panel(
            "error rate (Prometheus)",
            "",
            (Curve("error rate", ((ago(seconds=90), 0.31), (NOW, 0.004))),),
            0.02,
        ),
    ),
    marks=(
        Mark(ago(seconds=88), "detected"),
        Mark(ago(seconds=42), "approved"),
        Mark(ago(seconds=41), "undo"),
        Mark(NOW, "verified"),
    ),
)

PREFLIGHT = Preflight(user="ada@veza.example", version="v1.32.1", denied=())
FORBIDDEN = Preflight(
    user="guest", version="v1.32.1", denied=(Permission("patch", "apps", "deployments"),)
)
RECORD = Record(
    incident_id=PLAN.incident,
    service="veza-backend-api",
    namespace="veza-production",
    workload="veza-backend-api",
    cluster=Cluster(context="prod", server="https://10.0.0.1:6443", version="v1.32.1"),
    operator="ada",
    host="oncall-7",
    reason="500s after the release",
    started_at=NOW,
)
_CLOSED = RECORD.but(
    outcome=Outcome.RECOVERED,
    exit_code=0,
    changed=True,
    detected_at=NOW + timedelta(seconds=2),
    approved_at=NOW + timedelta(seconds=40),
    mutated_at=NOW + timedelta(seconds=41),
    recovered_at=NOW + timedelta(seconds=63),
    closed_at=NOW + timedelta(seconds=64),
    diagnosis=DIAGNOSIS,
    history=HISTORY,
    plan=PLAN,
    verification=BACK,
    approval={"plan": PLAN.id, "approver": "ada", "method": "service name"},
    left_to_do=(
        "Revert the commit or manifest of the bad release: the next apply would bring it back.",
        "The file that was applied last names v1.3.0. Change it before the next `kubectl apply`.",
    ),
)

CLOSED = _CLOSED.but(durations=durations_of(_CLOSED))


def glance(service: str, diagnosis: Diagnosis, rollout: RolloutState) -> Glance:
    workload = Workload(deployment=Deployment(metadata=ObjectMeta(name=service)))
    baseline = Baseline(at=NOW, replicas=3, restarts={}, probes=())
    return Glance(
        service, Detection(NOW, workload, rollout, HISTORY, PROBES, diagnosis, baseline), ""
    )


GLANCES = (
    glance("veza-frontend", HEALTHY, MIDWAY),
    glance("veza-backend-api", DIAGNOSIS, STUCK),
    Glance("veza-stream-server", None, "There is no Deployment 'veza-stream-server'."),
)
