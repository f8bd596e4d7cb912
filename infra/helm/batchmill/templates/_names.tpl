{{- define "batchmill.name" -}}
{{- if contains .Chart.Name .Release.Name -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- define "batchmill.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "batchmill.selector" . }}
{{- end -}}

{{- define "batchmill.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "batchmill.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ .Values.serviceAccount.name | default (include "batchmill.name" .) }}
{{- else -}}{{ required "serviceAccount.name: name an account, or set serviceAccount.create" .Values.serviceAccount.name }}{{- end -}}
{{- end -}}

{{/* (dict "root" $ "name" "worker"): the image, by digest if there is one */}}
{{- define "batchmill.image" -}}
{{- $image := index .root.Values.image .name -}}
{{- $repository := required (printf "image.%s.repository: name the image you built from infra/docker" .name) $image.repository -}}
{{- if $image.digest -}}{{ $repository }}@{{ $image.digest }}{{- else -}}
{{ $repository }}:{{ $image.tag | default .root.Chart.AppVersion }}{{- end -}}
{{- end -}}
