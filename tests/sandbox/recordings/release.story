kubectl 00-version
kubectl 00-get-nodes rows
kubectl 00-cluster-info
kubectl 00-api-resources-apps
object 00-version
object 00-apis-apps-v1
object 00-nodes
kubectl 01-get-deploy-no-namespace
kubectl 01-apply
object 01-created-at-once.deployment
kubectl 01-rollout-status-first some
state 02-created-complete
object 02-all-deployments.list spec
kubectl 02-rollout-history-one-revision
kubectl 02-undo-no-history
kubectl 02-undo-no-history-deployment-missing
http 02-create-answer-201
run -n veza-production annotate deployment/veza-backend-api kubernetes.io/change-cause='release v1.0.0'
pass 1
watch 03-rollout.deployment
watch 03-rollout.replicasets
watch 03-rollout.pods
kubectl 03-set-image
kubectl 03-rollout-status-nowatch-mid
kubectl 03-get-pods-mid rows
kubectl 03-get-deploy-rs-mid rows
pass 1.5
state 03-mid-rollout passed
pass 5
run -n veza-production annotate deployment/veza-backend-api kubernetes.io/change-cause='release v1.1.0' --overwrite
pass 1
state 04-rolled-out
seen 03-rollout.deployment
seen 03-rollout.replicasets states
seen 03-rollout.pods stand-in
kubectl 04-rollout-status-done
kubectl 04-rollout-history
kubectl 04-rollout-history-revision-1
kubectl 04-rollout-history-revision-2
kubectl 04-rollout-history-revision-99
kubectl 04-rollout-history-json
kubectl 05-undo-dry-run-client
kubectl 05-undo-dry-run-server
kubectl 05-undo-v9-requests requests
object 05-undo-at-once.deployment passed
kubectl 05-rollout-status-after-undo
pass 1
state 06-after-undo alive
kubectl 06-rollout-history-after-undo
kubectl 06-undo-again-toggles
pass 5
kubectl 06-history-after-second-undo
pass 1
state 06b-after-second-undo alive
kubectl 06-undo-to-current-revision
kubectl 06-undo-to-gone-revision-1
kubectl 06-undo-to-revision-99
kubectl 06-undo-to-revision-negative
kubectl 06-undo-to-revision-3
kubectl 06-rollout-status
kubectl 06-history-after-to-revision
still
http 07-patch-progressDeadlineSeconds
watch 07-failed-rollout-and-undo.deployment
watch 07-failed-rollout-and-undo.pods
pass 0.1
kubectl 07-set-image-bad
pass 4
kubectl 07-get-pods-crashloop-early rows
object 07-failing.deployment raced
object 07-failing.replicasets
object 07-failing.pods
kubectl 07-rollout-status-deadline
state 08-failed-deadline passed
kubectl 08-rollout-status-after-deadline
kubectl 08-rollout-status-timeout
kubectl 08-get-pods rows
kubectl 08-get-pods-json json
kubectl 08-describe-deployment combined
kubectl 08-describe-pod-crashloop described
kubectl 08-logs-crashloop
kubectl 08-logs-previous
kubectl 08-logs-deploy
kubectl 08-get-events combined
kubectl 08-events-warnings rows
object 08-events.list events
object 08-events-k8s-io.list among
kubectl 08-wait-available
kubectl 08-wait-progressing-timeout
kubectl 08-wait-jsonpath
kubectl 09-undo-failed
object 09-undo-at-once.deployment passed
kubectl 09-rollout-status
pass 1
state 10-after-undo-of-failed alive
kubectl 10-history
seen 07-failed-rollout-and-undo.deployment raced
seen 07-failed-rollout-and-undo.pods stand-in
kubectl 11-set-image-missing
pass 3
state 11-imagepull
kubectl 11-get-pods-imagepull rows
kubectl 11-describe-pod-imagepull described
kubectl 11-logs-imagepull
kubectl 11-undo
kubectl 11-rollout-status
kubectl 12-set-image-slow
kubectl 12-rollout-status-timeout
pass 4
kubectl 12-rollout-status-deadline
state 12-never-ready
kubectl 12-get-pods rows
kubectl 12-undo
kubectl 12-rollout-status
kubectl 12-history
kubectl 13-pause
pass 1
state 13-paused
kubectl 13-undo-paused
kubectl 13-pause-again
kubectl 13-set-image-while-paused
pass 1
state 13-paused-with-change
kubectl 13-rollout-status-paused
kubectl 13-history-paused
still
kubectl 13-resume
kubectl 13-rollout-status-resumed lines
kubectl 13-resume-again
kubectl 14-restart
pass 5
kubectl 14-history-after-restart
pass 1
state 14-restarted alive
kubectl 14-undo-after-restart
pass 5
pass 1
state 14-undo-after-restart alive
kubectl 14-history-after-undo
run -n veza-production annotate deployment/veza-backend-api veza.example/released-by=alice veza.example/ticket=OPS-1
pass 1
state 15-annotated
run -n veza-production set image deployment/veza-backend-api backend-api=registry.veza.example/veza-backend-api:v1.6.0
pass 5
run -n veza-production annotate --overwrite deployment/veza-backend-api veza.example/ticket=OPS-2 veza.example/new=since-v1.6.0
pass 1
state 15-annotated-v1.6.0 alive
kubectl 15-undo
pass 5
pass 1
state 15-undone alive
kubectl 15-diff-after-undo
kubectl 15-apply-again-after-undo
pass 5
pass 1
state 15-reapplied alive
kubectl 15-history-after-reapply
kubectl 16-server-side-apply-conflict
kubectl 17-scale
pass 2
run -n veza-production set image deployment/veza-backend-api backend-api=registry.veza.example/veza-backend-api:v1.7.0
pass 5
kubectl 17-scale-to-4
pass 2
kubectl 17-undo
pass 5
pass 1
state 17-undo-keeps-replicas alive
kubectl 17-scale-0
pass 1
state 17-scaled-to-0 alive
kubectl 17-rollout-status-0
kubectl 17-get-deploy-0 rows
run -n veza-production scale deployment/veza-backend-api --replicas=3
kubectl 17-scale-precondition-fails
http 17-create-no-history
pass 5
run -n veza-production set image deployment/veza-nohistory nohistory=registry.veza.example/veza-nohistory:v2
pass 5
pass 1
kubectl 17-undo-revisionHistoryLimit-0
kubectl 17-history-revisionHistoryLimit-0
object 17-nohistory.replicasets
kubectl 21-can-i-yes
kubectl 21-can-i-no
kubectl 21-can-i-list
kubectl 21-whoami
kubectl 21-undo-forbidden
kubectl 21-get-forbidden
kubectl 21-status-forbidden lines
run -n veza-production create role bot --verb=get,list --resource=deployments.apps
http 21-rolebinding-created
kubectl 21-bot-get-list-only-undo
run -n veza-production delete role bot
create /apis/rbac.authorization.k8s.io/v1/namespaces/veza-production/roles {"metadata":{"name":"bot"},"rules":[{"apiGroups":["apps"],"resources":["deployments","replicasets"],"verbs":["get","list"]}]}
kubectl 21-bot-plus-replicasets-undo
kubectl 21-bot-plus-replicasets-status lines
kubectl 21-bot-history
run -n veza-production delete role bot
create /apis/rbac.authorization.k8s.io/v1/namespaces/veza-production/roles {"metadata":{"name":"bot"},"rules":[{"apiGroups":["apps"],"resources":["deployments"],"verbs":["get","list","watch","patch"]},{"apiGroups":["apps"],"resources":["replicasets"],"verbs":["get","list"]}]}
kubectl 21-bot-enough-undo
kubectl 21-bot-enough-status
run -n veza-production scale deployment/veza-backend-api --replicas=4
pass 2
run -n veza-production scale deployment/veza-backend-api --replicas=3
http 22-table-pods table
pass 1
http 22-table-deployments table
http 22-table-replicasets table
http 22-managed-fields-after-undo
kubectl 22-set-image-dry-run-server
http 23-pdb
run -n veza-production set image deployment/veza-backend-api backend-api=registry.veza.example/veza-backend-api:v1.8.0
kubectl 23-rollout-with-pdb
run -n veza-production delete pdb api
differs kubectl 23-top-pods
differs kubectl 23-top-nodes
differs kubectl 23-exec
run create namespace veza-quota
create /api/v1/namespaces/veza-quota/resourcequotas {"metadata":{"name":"q"},"spec":{"hard":{"pods":"1"}}}
pass 1
create /apis/apps/v1/namespaces/veza-quota/deployments {"metadata":{"name":"q","labels":{"app":"q"}},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"q"}},"template":{"metadata":{"labels":{"app":"q"}},"spec":{"containers":[{"name":"q","image":"a:b","ports":[{"containerPort":8080}]}]}}}}
pass 4
object 23-quota.deployment
http 23-403-quota
create /api/v1/namespaces {"metadata":{"name":"veza-gone"}}
create /api/v1/namespaces/veza-gone/configmaps {"metadata":{"name":"held","finalizers":["veza.example/hold"]}}
still
run delete namespace veza-gone --wait=false
object 23-namespace-terminating
http 23-403-namespace-terminating
stream 24-initial-events /api/v1/namespaces/veza-production/pods?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=&allowWatchBookmarks=true&timeoutSeconds=1
stream 24-bookmark /api/v1/namespaces/veza-production/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds=2&fieldSelector=metadata.name%3Dnone
compact
stream 24-410-gone /api/v1/namespaces/veza-production/pods?watch=true&resourceVersion=1
stream 24-too-old-watchcache /api/v1/namespaces/veza-production/pods?watch=true&resourceVersion=1
pass 1
create /apis/apps/v1/namespaces/veza-production/statefulsets {"metadata":{"name":"veza-statefulset","labels":{"app":"veza-statefulset"}},"spec":{"replicas":2,"serviceName":"x","selector":{"matchLabels":{"app":"veza-statefulset"}},"template":{"metadata":{"labels":{"app":"veza-statefulset"}},"spec":{"containers":[{"name":"statefulset","image":"registry.veza.example/veza-statefulset:v1","ports":[{"containerPort":8080}]}]}}}}
pass 4
run -n veza-production set image statefulset/veza-statefulset statefulset=registry.veza.example/veza-statefulset:v2
kubectl 25-statefulsets-status lines
kubectl 25-statefulsets-history
kubectl 25-statefulsets-undo
pass 5
kubectl 25-statefulsets-history-after-undo
pass 1
object 25-statefulsets
create /apis/apps/v1/namespaces/veza-production/daemonsets {"metadata":{"name":"veza-daemonset","labels":{"app":"veza-daemonset"}},"spec":{"selector":{"matchLabels":{"app":"veza-daemonset"}},"template":{"metadata":{"labels":{"app":"veza-daemonset"}},"spec":{"containers":[{"name":"daemonset","image":"registry.veza.example/veza-daemonset:v1","ports":[{"containerPort":8080}]}]}}}}
pass 2
run -n veza-production set image daemonset/veza-daemonset daemonset=registry.veza.example/veza-daemonset:v2
kubectl 25-daemonsets-status some
kubectl 25-daemonsets-history
kubectl 25-daemonsets-undo
pass 5
kubectl 25-daemonsets-history-after-undo
pass 1
object 25-daemonsets
object 25-controllerrevisions
create /apis/batch/v1/namespaces/veza-production/jobs {"metadata":{"name":"migrate-ok"},"spec":{"backoffLimit":1,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"m","image":"registry.veza.example/migrate:v1"}]}}}}
create /apis/batch/v1/namespaces/veza-production/jobs {"metadata":{"name":"migrate-broken"},"spec":{"backoffLimit":1,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"m","image":"registry.veza.example/migrate:v1-fail"}]}}}}
kubectl 25-wait-job-complete
kubectl 25-wait-job-failed
pass 1
object 25-jobs
kubectl 26-get-all rows
kubectl 26-get-pods-wide rows
kubectl 26-delete-deployment
http 26-delete-background
http 26-delete-foreground
