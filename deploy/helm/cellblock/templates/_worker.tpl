{{/* What only the workers' pods have. */}}

{{- define "cellblock.workerEnv" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $pool := index . 2 -}}
{{ include "cellblock.env" (list "METRICS_ADDR" "0.0.0.0:9091") }}
{{ include "cellblock.redisEnv" $root }}
{{- if $root.Values.redis.sentinel.addresses }}
{{ include "cellblock.env" (list "FENCE_REPLICAS" (int $root.Values.redis.sentinel.fenceReplicas)) }}
{{- end }}
{{ include "cellblock.filesEnv" $root }}
{{ include "cellblock.limitsEnv" $pool.limits }}
{{ include "cellblock.env" (list "WORKER_CONCURRENCY" (int $pool.slots)) }}
{{ include "cellblock.env" (list "DRAIN_TIMEOUT" (include "cellblock.seconds" (include "cellblock.drainSeconds" (list $name $pool)))) }}
{{- if $pool.requireCgroups }}
{{ include "cellblock.env" (list "REQUIRE_CGROUPS" true) }}
{{- end }}
{{- end }}

{{- define "cellblock.workerSecurity" -}}
{{- if eq .isolation "privileged" -}}
privileged: true
{{- else if eq .isolation "gvisor" -}}
# Rights in gVisor's kernel, and none in the node's.
capabilities:
  add: [SYS_ADMIN]
{{- else -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
{{ include "cellblock.restricted" . }}
# No sandbox can mount its own /proc where the runtime masks parts of it.
procMount: Unmasked
# The runtime's default, and the calls that nsjail makes.
seccompProfile:
  type: Localhost
  localhostProfile: {{ .seccompProfile }}
# Its default profile forbids every mount.
appArmorProfile:
  type: Unconfined
{{- end }}
{{- end }}

{{- define "cellblock.workerVolumes" -}}
{{- $pool := index . 1 -}}
{{- include "cellblock.filesVolume" (index . 0) }}
{{- if eq $pool.isolation "privileged" }}
# Workers of one node lock their user ids in it.
- name: claims
  hostPath:
    path: /run/cellblock/claims
    type: DirectoryOrCreate
{{- else if eq $pool.isolation "unprivileged" }}
- name: tmp
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
{{- end }}
{{- end }}

{{- define "cellblock.workerMounts" -}}
{{- $pool := index . 1 -}}
{{- include "cellblock.filesMount" (index . 0) }}
{{- if eq $pool.isolation "privileged" }}
- name: claims
  mountPath: /run/cellblock/claims
{{- else if eq $pool.isolation "unprivileged" }}
- name: tmp
  mountPath: /tmp
{{- end }}
{{- end }}

{{/* What both triggers of KEDA have in common. Without an answer the number of pods stays. */}}
{{- define "cellblock.prometheus" -}}
serverAddress: {{ .Values.keda.prometheus.serverAddress }}
ignoreNullValues: "false"
{{- with .Values.keda.prometheus.authModes }}
authModes: {{ . }}
{{- end }}
{{- end }}

{{- define "cellblock.prometheusAuth" -}}
{{- with .Values.keda.prometheus.authenticationRef }}
authenticationRef:
  name: {{ . }}
{{- end }}
{{- end }}
