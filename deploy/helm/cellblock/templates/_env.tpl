{{/* Environment variables of containers. */}}

{{- define "cellblock.envSecret" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}
      key: {{ index . 2 }}
{{- end }}

{{- define "cellblock.env" -}}
- name: {{ index . 0 }}
  value: {{ index . 1 | toString | quote }}
{{- end }}

{{/* The variables of the connection to Redis. */}}
{{- define "cellblock.redisEnv" -}}
{{- $redis := .Values.redis -}}
{{- $fullname := include "cellblock.fullname" . -}}
{{- if and $redis.bundled.enabled (or $redis.host $redis.urlSecret.name $redis.tls.enabled $redis.sentinel.addresses) -}}
{{- fail "redis: with bundled.enabled there is no host, urlSecret, tls or sentinel" -}}
{{- end -}}
{{- if and $redis.tls.caSecret (not (or $redis.tls.enabled $redis.urlSecret.name)) -}}
{{- fail "redis: tls.caSecret needs tls.enabled" -}}
{{- end -}}
{{- if $redis.bundled.enabled -}}
{{ include "cellblock.env" (list "REDIS_URL" (printf "redis://%s-redis:6379/0" $fullname)) }}
{{ include "cellblock.envSecret" (list "REDIS_PASSWORD" (printf "%s-redis" $fullname) "password") }}
{{- else if $redis.urlSecret.name -}}
{{ include "cellblock.envSecret" (list "REDIS_URL" $redis.urlSecret.name $redis.urlSecret.key) }}
{{- else -}}
{{- $host := required "redis: set host, urlSecret.name or bundled.enabled" $redis.host -}}
{{- $scheme := ternary "rediss" "redis" $redis.tls.enabled -}}
{{- $user := "" -}}
{{- with $redis.username }}{{ $user = printf "%s@" (urlquery .) }}{{ end -}}
{{ include "cellblock.env" (list "REDIS_URL" (printf "%s://%s%s:%v/%v" $scheme $user $host (int $redis.port) (int $redis.db))) }}
{{- with $redis.existingSecret }}
{{ include "cellblock.envSecret" (list "REDIS_PASSWORD" . $redis.passwordKey) }}
{{- end }}
{{- end }}
{{- if $redis.tls.caSecret }}
{{ include "cellblock.env" (list "REDIS_CA_FILE" "/etc/cellblock/redis-ca/ca.crt") }}
{{- end }}
{{- with $redis.sentinel }}
{{- if .addresses }}
{{ include "cellblock.env" (list "REDIS_SENTINELS" (join "," .addresses)) }}
{{ include "cellblock.env" (list "REDIS_SENTINEL_MASTER" .master) }}
{{- with .username }}
{{ include "cellblock.env" (list "REDIS_SENTINEL_USER" .) }}
{{- end }}
{{- if .existingSecret }}
{{ include "cellblock.envSecret" (list "REDIS_SENTINEL_PASSWORD" .existingSecret .passwordKey) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The variables of the store of files. */}}
{{- define "cellblock.filesEnv" -}}
{{- if eq .Values.files.type "s3" -}}
{{- $s3 := .Values.files.s3 -}}
{{- $query := list -}}
{{- with $s3.region }}{{ $query = append $query (printf "region=%s" (urlquery .)) }}{{ end -}}
{{- with $s3.endpoint }}{{ $query = append $query (printf "endpoint=%s" (urlquery .)) }}{{ end -}}
{{- if $s3.pathStyle }}{{ $query = append $query "use_path_style=true" }}{{ end -}}
{{- $bucket := required "files.s3.bucket is empty" $s3.bucket -}}
{{ include "cellblock.env" (list "FILES_URL" (printf "s3://%s%s%s" $bucket (empty $query | ternary "" "?") (join "&" $query))) }}
{{- with $s3.existingSecret }}
{{ include "cellblock.envSecret" (list "AWS_ACCESS_KEY_ID" . $s3.accessKeyIdKey) }}
{{ include "cellblock.envSecret" (list "AWS_SECRET_ACCESS_KEY" . $s3.secretAccessKeyKey) }}
{{- end }}
{{- else -}}
{{ include "cellblock.env" (list "FILES_URL" "file:///files?metadata=skip&no_tmp_dir=true") }}
{{- end }}
{{- end }}

{{- define "cellblock.filesVolume" -}}
{{- if eq .Values.files.type "volume" }}
- name: files
  persistentVolumeClaim:
    claimName: {{ default (printf "%s-files" (include "cellblock.fullname" .)) .Values.files.volume.existingClaim }}
{{- else if eq .Values.files.type "none" }}
- name: files
  emptyDir:
    sizeLimit: 1Gi
{{- end }}
{{- if .Values.redis.tls.caSecret }}
- name: redis-ca
  secret:
    secretName: {{ .Values.redis.tls.caSecret }}
    items:
      - key: {{ .Values.redis.tls.caKey }}
        path: ca.crt
{{- end }}
{{- end }}

{{- define "cellblock.filesMount" -}}
{{- if ne .Values.files.type "s3" }}
- name: files
  mountPath: /files
{{- end }}
{{- if .Values.redis.tls.caSecret }}
- name: redis-ca
  mountPath: /etc/cellblock/redis-ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "cellblock.limitsEnv" -}}
{{ include "cellblock.env" (list "LIMIT_WALL" (include "cellblock.seconds" .wallSeconds)) }}
{{ include "cellblock.env" (list "LIMIT_CPU" (include "cellblock.seconds" .cpuSeconds)) }}
{{ include "cellblock.env" (list "LIMIT_MEMORY_MB" (int .memoryMb)) }}
{{ include "cellblock.env" (list "LIMIT_PROCESSES" (int .processes)) }}
{{ include "cellblock.env" (list "LIMIT_OUTPUT_KB" (int .outputKb)) }}
{{- end }}

{{/* Fails if extraEnv has a variable that the chart sets. (list where extraEnv env) */}}
{{- define "cellblock.extraEnv" -}}
{{- $own := dict -}}
{{- range fromYamlArray (index . 2) }}{{ $_ := set $own .name true }}{{ end -}}
{{- $where := index . 0 -}}
{{- range index . 1 -}}
{{- if hasKey $own .name }}{{ fail (printf "%s: the chart sets %s itself; there is a value for it" $where .name) }}{{ end }}
- {{ toYaml . | nindent 2 | trim }}
{{- end -}}
{{- end }}
