"""Scenarios of the training cluster: what happened before, what goes wrong, what would be right.

They are data (`data/scenarios/*.yaml`). This room reads and checks them; `seeding` plays them.

A file tells the history of its own service as a list, or of several services by name; the others
have the usual one. Ages count back from now, oldest first. An undo brings its old cause back:

    history:
      veza-backend-api:
      - {image: "registry.veza.example/veza-backend-api:v2.3.1", age: 14d, cause: "release v2.3.1"}
      - {image: "registry.veza.example/veza-backend-api:v2.4.0", age: 6d4h, cause: "release v2.4.0"}
      - {undo_to: "registry.veza.example/veza-backend-api:v2.3.1", age: 6d3h}

A release, and the `fault`, may patch the pod template besides (`template:`). What else is done to
the cluster stands under `deeds`: so long ago (`age:`), or with the fault and after it (`after:`).
In texts, `${now}` and `${now-5m}` are times as the API writes them:

    deeds:
    - {age: 5m, delete: {kind: Secret, name: veza-backend-secrets}}
    - age: 2m
      agent: kubectl-edit
      patch: {kind: ConfigMap, name: veza-backend-config, with: {data: {DATABASE_HOST: nowhere}}}

`expect` says what is right, `kit` what the kit makes of it: the tests hold both to it.
"""

from veza_nb.sandbox.scenarios.model import (
    NO_ROLLBACK,
    Deed,
    Expected,
    Fault,
    PastRelease,
    Scenario,
    ScenarioError,
)
from veza_nb.sandbox.scenarios.places import parse_age
from veza_nb.sandbox.scenarios.reading import load, manifest, names, parse, usual_history

__all__ = [
    "NO_ROLLBACK",
    "Deed",
    "Expected",
    "Fault",
    "PastRelease",
    "Scenario",
    "ScenarioError",
    "load",
    "manifest",
    "names",
    "parse",
    "parse_age",
    "usual_history",
]
