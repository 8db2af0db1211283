{{/* Names */}}

{{- define "cellblock.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "cellblock.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "cellblock.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "cellblock.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Labels by which pods are selected, and which never change. (list root component [pool]) */}}
{{- define "cellblock.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "cellblock.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- if gt (len .) 2 }}
cellblock/pool: {{ index . 2 }}
{{- end }}
{{- end }}

{{/* Labels of pods: an upgrade that changes nothing in them restarts none. (list root component [pool]) */}}
{{- define "cellblock.podLabels" -}}
{{ include "cellblock.selector" . }}
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* All labels of an object. (list root component [pool]) */}}
{{- define "cellblock.labels" -}}
{{- $root := index . 0 -}}
{{ include "cellblock.selector" . }}
app.kubernetes.io/version: {{ default $root.Chart.AppVersion $root.Values.image.tag | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The image of (list root image), image being a map with repository, and tag or digest. */}}
{{- define "cellblock.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $name := $image.repository -}}
{{- with $root.Values.image.registry }}{{ $name = printf "%s/%s" (trimSuffix "/" .) $name }}{{ end -}}
{{- if $image.digest -}}
{{ $name }}@{{ $image.digest }}
{{- else -}}
{{ $name }}:{{ coalesce $image.tag $root.Values.image.tag $root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "cellblock.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.serviceAccount.create -}}
{{ include "cellblock.fullname" $root }}-{{ index . 1 }}
{{- else -}}
{{ default "default" $root.Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{/* What pods have in common. (list root values selector) */}}
{{- define "cellblock.podSpec" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- with $values.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
{{- else }}
  {{- $selector := index $ 2 }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- $selector | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The security context of a container under the Pod Security Standard `restricted`. */}}
{{- define "cellblock.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Durations, as Go reads them: 15 is 15s. */}}
{{- define "cellblock.seconds" -}}
{{ . }}s
{{- end }}
