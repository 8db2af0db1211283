{{/* The values of a pool, as YAML: those of workers with its own in their place. (list root name) */}}
{{- define "cellblock.pool" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values.pools (index . 1) | default dict -}}
{{- $pool := mergeOverwrite (deepCopy $root.Values.workers) (deepCopy $own) -}}
{{- $_ := set $pool "limits" (merge (dict) $pool.limits $root.Values.limits) -}}
{{- $room := sub 38 (len (include "cellblock.fullname" $root)) | int -}}
{{- if gt (len (index . 1)) $room -}}
{{- fail (printf "pools.%s: the name is longer than %d, so Kubernetes would cut the names of its pods; see fullnameOverride" (index . 1) $room) -}}
{{- end -}}
{{- include "cellblock.checkPool" (list (index . 1) $pool) -}}
{{- toYaml $pool -}}
{{- end }}

{{/* Fails for values of a pool that contradict each other. (list name pool) */}}
{{- define "cellblock.checkPool" -}}
{{- $at := printf "pools.%s" (index . 0) -}}
{{- $pool := index . 1 -}}
{{- $scaling := $pool.scaling -}}
{{- if and (eq $pool.isolation "gvisor") (not $pool.runtimeClassName) -}}
{{- fail (printf "%s: isolation gvisor needs runtimeClassName" $at) -}}
{{- end -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "%s: scaling.minReplicas is above scaling.maxReplicas" $at) -}}
{{- end -}}
{{- if and (eq $scaling.by "cpu") (eq (int $scaling.minReplicas) 0) -}}
{{- fail (printf "%s: scaling.minReplicas 0 needs scaling.by queue" $at) -}}
{{- end -}}
{{- end }}

{{/* The pools that may have no pod, and their environments. */}}
{{- define "cellblock.cold" -}}
{{- $pools := list -}}
{{- $environments := list -}}
{{- range $name := keys .Values.pools | sortAlpha -}}
{{- $pool := include "cellblock.pool" (list $ $name) | fromYaml -}}
{{- if and (eq $pool.scaling.by "queue") (eq (int $pool.scaling.minReplicas) 0) -}}
{{- $pools = append $pools $name -}}
{{- $environments = concat $environments $pool.environments -}}
{{- end -}}
{{- end -}}
{{- dict "pools" $pools "environments" (uniq $environments) | toYaml -}}
{{- end }}

{{/* How long a pool's jobs may continue after a stop signal, in whole seconds; fails if that is not above the wall
limit. (list name pool) */}}
{{- define "cellblock.drainSeconds" -}}
{{- $pool := index . 1 -}}
{{- $wall := ceil $pool.limits.wallSeconds | int -}}
{{- $drain := $pool.drainSeconds -}}
{{- if kindIs "invalid" $drain }}{{ $drain = add $wall 10 }}{{ end -}}
{{- if le (float64 $drain) (float64 $pool.limits.wallSeconds) -}}
{{- fail (printf "pools.%s: drainSeconds (%v) must be above limits.wallSeconds (%v)" (index . 0) $drain $pool.limits.wallSeconds) -}}
{{- end -}}
{{- int $drain -}}
{{- end }}
