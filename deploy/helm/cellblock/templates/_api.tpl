{{/* What only the API's pods have. */}}

{{- define "cellblock.apiEnv" -}}
{{- $api := .Values.api -}}
{{ include "cellblock.env" (list "API_ADDR" "0.0.0.0:8080") }}
{{ include "cellblock.env" (list "API_METRICS_ADDR" "0.0.0.0:9090") }}
{{ include "cellblock.redisEnv" . }}
{{ include "cellblock.filesEnv" . }}
{{- if eq .Values.files.type "none" }}
{{ include "cellblock.env" (list "STORED_FILES_MB" 0) }}
{{- end }}
{{ include "cellblock.limitsEnv" .Values.limits }}
{{ include "cellblock.env" (list "SYNC_WAIT" (include "cellblock.seconds" $api.syncWaitSeconds)) }}
{{- $cold := include "cellblock.cold" . | fromYaml }}
{{- if $cold.pools }}
{{ include "cellblock.env" (list "NO_WORKER_GRACE" (include "cellblock.seconds" .Values.keda.coldStartSeconds)) }}
{{- end }}
{{- with without $cold.environments "default" }}
{{ include "cellblock.env" (list "EXPECTED_ENVIRONMENTS" (join "," .)) }}
{{- end }}
{{ include "cellblock.env" (list "SHUTDOWN_TIMEOUT" (include "cellblock.seconds" $api.shutdownSeconds)) }}
{{- if .Values.auth.allowAnonymous }}
{{ include "cellblock.env" (list "ALLOW_ANONYMOUS" true) }}
{{ include "cellblock.env" (list "ALLOWED_HOSTS" (include "cellblock.allowedHosts" .)) }}
{{- else }}
{{ include "cellblock.envSecret" (list "API_TOKEN" (include "cellblock.tokenSecret" .) (include "cellblock.tokenKey" .)) }}
{{- end }}
{{- if .Values.auth.keysFile.existingSecret }}
{{ include "cellblock.env" (list "API_KEYS_FILE" "/etc/cellblock/keys/keys.yaml") }}
{{- end }}
{{- with $api.trustedProxies }}
{{ include "cellblock.env" (list "TRUSTED_PROXIES" (join "," .)) }}
{{- end }}
{{- if .Values.webhooks.enabled }}
{{ include "cellblock.envSecret" (list "CALLBACK_SECRET" (include "cellblock.callbackSecret" .) (include "cellblock.callbackKey" .)) }}
{{- with .Values.webhooks.allow }}
{{ include "cellblock.env" (list "CALLBACK_ALLOW" (join "," .)) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "cellblock.allowedHosts" -}}
{{- $name := printf "%s-api" (include "cellblock.fullname" .) -}}
{{- $namespace := .Release.Namespace -}}
{{- $ingress := .Values.api.ingress.enabled | ternary .Values.api.ingress.hosts list -}}
{{- $route := .Values.api.httpRoute.enabled | ternary .Values.api.httpRoute.hostnames list -}}
{{- $hosts := list $name (printf "%s.%s" $name $namespace) (printf "%s.%s.svc" $name $namespace) -}}
{{- join "," (concat $hosts $ingress $route .Values.api.allowedHosts | uniq) -}}
{{- end }}

{{- define "cellblock.tokenSecret" -}}
{{ default (printf "%s-api" (include "cellblock.fullname" .)) .Values.auth.existingSecret }}
{{- end }}

{{- define "cellblock.tokenKey" -}}
{{ ternary .Values.auth.tokenKey "token" (not (empty .Values.auth.existingSecret)) }}
{{- end }}

{{- define "cellblock.callbackSecret" -}}
{{ default (printf "%s-api" (include "cellblock.fullname" .)) .Values.webhooks.existingSecret }}
{{- end }}

{{- define "cellblock.callbackKey" -}}
{{ ternary .Values.webhooks.secretKey "callback-secret" (not (empty .Values.webhooks.existingSecret)) }}
{{- end }}

{{- define "cellblock.apiVolumes" -}}
{{- include "cellblock.filesVolume" . }}
{{- with .Values.auth.keysFile }}
{{- if .existingSecret }}
- name: keys
  secret:
    secretName: {{ .existingSecret }}
    items:
      - key: {{ .key }}
        path: keys.yaml
{{- end }}
{{- end }}
{{- end }}

{{- define "cellblock.apiMounts" -}}
{{- include "cellblock.filesMount" . }}
{{- if .Values.auth.keysFile.existingSecret }}
- name: keys
  mountPath: /etc/cellblock/keys
  readOnly: true
{{- end }}
{{- end }}
