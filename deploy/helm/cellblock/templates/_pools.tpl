{{/* The values of a pool, as YAML: those of workers with its own in their place. (list root name) */}}
{{- define "cellblock.pool" -}}
{{- $root := index . 0 -}}
{{- $own := index $root.Values.pools (index . 1) | default dict -}}
{{- $pool := mergeOverwrite (deepCopy $root.Values.workers) (deepCopy $own) -}}
{{- $_ := set $pool "limits" (merge (dict) $pool.limits $root.Values.limits) -}}
{{- toYaml $pool -}}
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
