{{/* What the pods of every process have in common. */}}
{{- define "batchmill.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "batchmill.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* (dict "root" $ "settings" map of a pool's own settings): environment of every process */}}
{{- define "batchmill.environment" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $secrets := compact (concat (list $v.bucket.existingSecret $v.model.hfTokenSecret) $v.settingsSecrets) }}
{{- with $secrets }}
envFrom:
  {{- range . }}
  - secretRef: { name: {{ . }} }
  {{- end }}
{{- end }}
env:
  - name: QUEUE_URL
    valueFrom:
      secretKeyRef:
        name: {{ required "queue.existingSecret: a Secret with the queue's URL" $v.queue.existingSecret }}
        key: {{ $v.queue.key }}
  - name: BUCKET_URL
    value: {{ required "bucket.url: s3://bucket/prefix" $v.bucket.url | quote }}
  {{- range $name, $value := dict "MODEL" $v.model.source "MMPROJ" $v.model.mmproj "MODEL_NAME" $v.model.name "MODEL_SHA256" $v.model.sha256 "MMPROJ_SHA256" $v.model.mmprojSha256 }}
  {{- if $value }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
  {{- end }}
  {{- range $name, $value := merge (dict) (.settings | default dict) $v.settings }}
  - name: {{ $name }}
    {{- /* Large whole numbers come as floats from YAML, and would be written as 2e+06. */}}
    value: {{ (and (kindIs "float64" $value) (eq (floor $value) $value) | ternary (printf "%d" (int64 $value)) $value) | toString | quote }}
  {{- end }}
{{- end -}}

{{/* (dict "root" $ "at" api, control or a pool): where pods may run */}}
{{- define "batchmill.placement" -}}
{{- with .at.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .at.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "batchmill.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}
