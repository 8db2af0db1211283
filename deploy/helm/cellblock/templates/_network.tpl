{{/* Rules of egress. */}}

{{- define "cellblock.dnsEgress" -}}
{{- with .Values.networkPolicy.dnsTo }}
- to: {{- toYaml . | nindent 4 }}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}
{{- end }}

{{- define "cellblock.redisEgress" -}}
{{- if .Values.redis.bundled.enabled }}
- to:
    - podSelector:
        matchLabels: {{- include "cellblock.selector" (list . "redis") | nindent 10 }}
  ports:
    - port: 6379
{{- else }}
- ports:
    {{- $ports := list (int .Values.redis.port) }}
    {{- range .Values.redis.sentinel.addresses }}
    {{- $ports = append $ports (splitList ":" . | last | int) }}
    {{- end }}
    {{- range uniq $ports }}
    - port: {{ . }}
    {{- end }}
  {{- with .Values.networkPolicy.redisTo }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "cellblock.filesEgress" -}}
{{- if eq .Values.files.type "s3" }}
{{- $endpoint := default "https://s3" .Values.files.s3.endpoint | urlParse }}
{{- $port := ternary 80 443 (eq $endpoint.scheme "http") }}
{{- if contains ":" $endpoint.host }}{{ $port = splitList ":" $endpoint.host | last | int }}{{ end }}
- ports:
    - port: {{ $port }}
  {{- with .Values.networkPolicy.filesTo }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "cellblock.webhookEgress" -}}
{{- if .Values.webhooks.enabled }}
- to:
    - ipBlock:
        cidr: 0.0.0.0/0
        {{- with .Values.networkPolicy.webhookExcept }}
        except: {{- toYaml . | nindent 10 }}
        {{- end }}
    # Of IPv6, the addresses that are public: neither private ones nor those that contain one of IPv4.
    - ipBlock:
        cidr: 2000::/3
        except: [2001::/23, "2001:db8::/32", "2002::/16", "3fff::/20"]
    {{- range .Values.webhooks.allow }}
    - ipBlock:
        cidr: {{ . | quote }}
    {{- end }}
{{- end }}
{{- end }}
