{{/* (dict "root" $ "own" what a pool says): with what the pool does not say, as YAML */}}
{{- define "batchmill.pool" -}}
{{- mergeOverwrite (deepCopy .root.Values.inferDefaults) (.own | default dict) | toYaml -}}
{{- end -}}

{{/* (dict "root" $ "name" pool name "pool" pool): the pod of an infer worker */}}
{{- define "batchmill.inferPod" -}}
{{- $root := .root -}}
{{- $pool := .pool -}}
metadata:
  labels:
    {{- include "batchmill.labels" $root | nindent 4 }}
    app.kubernetes.io/component: infer
    batchmill.dev/pool: {{ .name }}
  {{- with $pool.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "batchmill.serviceAccount" $root }}
  automountServiceAccountToken: false
  securityContext: {{- include "batchmill.podSecurity" $root | nindent 4 }}
  {{- include "batchmill.pullSecrets" $root | nindent 2 }}
  {{- with $pool.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $tolerations := $pool.tolerations }}
  {{- if $pool.spot.enabled }}
  {{- $tolerations = append $tolerations (dict "key" $pool.spot.nodeLabel "operator" "Equal" "value" $pool.spot.nodeLabelValue "effect" "NoSchedule") }}
  {{- end }}
  {{- with $tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $affinity := deepCopy $pool.affinity }}
  {{- if and $pool.spot.enabled (not $affinity) }}
  {{- $wanted := dict "key" $pool.spot.nodeLabel "operator" "In" "values" (list $pool.spot.nodeLabelValue) }}
  {{- $affinity = dict "nodeAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" (list (dict "weight" 100 "preference" (dict "matchExpressions" (list $wanted))))) }}
  {{- end }}
  {{- with $affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $pool.terminationGracePeriodSeconds }}
  {{- if eq $pool.kind "job" }}
  restartPolicy: Never
  {{- end }}
  containers:
    - name: infer
      image: {{ include "batchmill.image" (dict "root" $root "name" (gt (int $pool.gpus) 0 | ternary "workerCuda" "worker")) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args:
        - node
        - apps/worker/src/main.ts
        - --roles
        - infer
        - --lanes
        - {{ join "," $pool.lanes }}
        {{- if eq $pool.kind "job" }}
        - --exit-when-idle
        - {{ printf "%ds" (int $pool.scale.idleSeconds) }}
        {{- end }}
      securityContext: {{- include "batchmill.containerSecurity" $root | nindent 8 }}
      {{- include "batchmill.environment" (dict "root" $root "settings" $pool.settings) | nindent 6 }}
        - { name: HEALTH_PORT, value: '8081' }
        - { name: BATCHMILL_HOME, value: /var/lib/batchmill }
      ports:
        - { name: health, containerPort: 8081 }
      # Ready when a slot can answer: the model is here, loaded and warm.
      startupProbe:
        httpGet: { path: /readyz, port: health }
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: {{ div (int $pool.startSeconds) 5 }}
      livenessProbe:
        httpGet: { path: /healthz, port: health }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: health }
        periodSeconds: 10
        timeoutSeconds: 5
      {{- $resources := deepCopy $pool.resources }}
      {{- if gt (int $pool.gpus) 0 }}
      {{- $_ := set $resources "limits" (merge (dict $pool.gpuResource (int $pool.gpus)) ($resources.limits | default dict)) }}
      {{- end }}
      resources: {{- toYaml $resources | nindent 8 }}
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
        - { name: models, mountPath: /var/lib/batchmill }
  volumes:
    - name: tmp
      emptyDir: {}
    - name: models
      {{- if eq $pool.modelCache.kind "claim" }}
      persistentVolumeClaim: { claimName: {{ required (printf "infer.%s.modelCache.claim: name the volume claim" .name) $pool.modelCache.claim }} }
      {{- else if eq $pool.modelCache.kind "host" }}
      hostPath: { path: {{ $pool.modelCache.hostPath }}, type: DirectoryOrCreate }
      {{- else }}
      emptyDir: { sizeLimit: {{ $pool.modelCache.size }} }
      {{- end }}
{{- end -}}

{{/* Most infer workers of all pools: what the scaling signal is bounded by */}}
{{- define "batchmill.maxWorkers" -}}
{{- $most := 0 -}}
{{- range $name, $own := .Values.infer -}}
{{- $pool := include "batchmill.pool" (dict "root" $ "own" $own) | fromYaml -}}
{{- if $pool.enabled -}}{{- $most = add $most $pool.scale.max -}}{{- end -}}
{{- end -}}
{{- max 1 $most -}}
{{- end -}}

{{/* (dict "root" $ "pool" pool): the work that waits, as the API reckons it */}}
{{- define "batchmill.scaleTriggers" -}}
{{- $root := .root -}}
{{- /* A pool of both lanes counts the work of both together. */}}
{{- $lane := gt (len .pool.lanes) 1 | ternary "all" (first .pool.lanes) }}
- type: metrics-api
  metadata:
    url: http://{{ include "batchmill.name" $root }}-api.{{ $root.Release.Namespace }}.svc:{{ $root.Values.api.service.port }}/v1/autoscale/{{ $lane }}
    valueLocation: workers_wanted
    # Workers that are needed, one replica each.
    targetValue: '1'
    authMode: bearer
  authenticationRef: { name: {{ include "batchmill.name" $root }}-autoscale }
{{- end -}}
