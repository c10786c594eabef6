{{/* The objects around a service's pods. (dict "root" $ "service" "journal") throughout. */}}

{{/*
How many. Where something else scales, an upgrade leaves things as they are: to leave `replicas` out would mean one,
and to repeat the first number would throw pods away under load.
*/}}
{{- define "tausql.replicas" -}}
{{- $values := index .root.Values .service -}}
{{- $least := int $values.replicas -}}
{{- $scaled := or $values.autoscaling.enabled (and (eq .service "processor") (include "tausql.warmPool" .root)) -}}
{{- if $scaled -}}
{{- $name := .name | default (printf "%s-%s" (include "tausql.fullname" .root) .service) -}}
{{- $there := lookup "apps/v1" .kind .root.Release.Namespace $name -}}
{{- max $least (int (dig "spec" "replicas" 0 (default dict $there))) -}}
{{- else -}}
{{- $least -}}
{{- end -}}
{{- end -}}

{{- define "tausql.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "tausql.metadata" . | nindent 2 }}
spec:
  replicas: {{ include "tausql.replicas" (merge (dict "kind" "Deployment") .) }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "tausql.selector" . | nindent 6 }}
  template:
    {{- include "tausql.pod" . | nindent 4 }}
{{- end -}}

{{/* Also "name" and "zone", for storage. */}}
{{- define "tausql.statefulset" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .service -}}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  {{- include "tausql.metadata" . | nindent 2 }}
spec:
  replicas: {{ include "tausql.replicas" (merge (dict "kind" "StatefulSet") .) }}
  serviceName: {{ include "tausql.fullname" $root }}-{{ .service }}
  podManagementPolicy: Parallel
  revisionHistoryLimit: 3
  updateStrategy:
    type: RollingUpdate
  {{- if include "tausql.since" (dict "root" $root "since" "1.27") }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: {{ ternary "Delete" "Retain" $root.Values.persistence.deleteOnUninstall }}
    whenScaled: Retain
  {{- end }}
  selector:
    matchLabels:
      {{- include "tausql.selector" . | nindent 6 }}
      {{- with .zone }}
      tausql.io/zone: {{ . }}
      {{- end }}
  template:
    {{- include "tausql.pod" . | nindent 4 }}
  {{- if $values.persistence.enabled }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels:
          {{- include "tausql.selector" . | nindent 10 }}
        {{- with $values.persistence.annotations }}
        annotations:
          {{- toYaml . | nindent 10 }}
        {{- end }}
      spec:
        accessModes:
          {{- toYaml $values.persistence.accessModes | nindent 10 }}
        {{- with $values.persistence.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ $values.persistence.size }}
  {{- end }}
{{- end -}}

{{/* Names for pods that keep theirs; also of pods that are not ready, which talk to each other to become so. */}}
{{- define "tausql.headless" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "tausql.metadata" . | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    {{- include "tausql.selector" . | nindent 4 }}
  ports:
    - {name: rpc, port: 7400, targetPort: rpc}
    - {name: http, port: 8080, targetPort: http}
{{- end -}}

{{- define "tausql.serviceaccount" -}}
{{- $values := index .root.Values .service -}}
{{- if not $values.serviceAccount.name -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "tausql.metadata" . | nindent 2 }}
  {{- with $values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
{{- end -}}

{{- define "tausql.pdb" -}}
{{- $values := index .root.Values .service -}}
apiVersion: {{ include "tausql.apiVersion" (dict "root" .root "kind" "PodDisruptionBudget") }}
kind: PodDisruptionBudget
metadata:
  {{- include "tausql.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ $values.disruption.maxUnavailable }}
  {{- if include "tausql.since" (dict "root" .root "since" "1.27") }}
  # A pod that is broken anyway must not keep its node from being drained; a journal's or a storage's may be catching up.
  unhealthyPodEvictionPolicy: {{ ternary "IfHealthyBudget" "AlwaysAllow" (has .service (list "journal" "storage")) }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "tausql.selector" . | nindent 6 }}
{{- end -}}

{{/*
Also "kind" and "name" of what is scaled. CPU counts in cores, not in parts of what is requested: an event loop is full
at one core, whatever it requests.
*/}}
{{- define "tausql.hpa" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .service -}}
{{- $name := .name | default (printf "%s-%s" (include "tausql.fullname" $root) .service) -}}
{{- if and $values.autoscaling.enabled (eq $root.Values.autoscaling.source "keda") -}}
{{- include "tausql.scaledobject" (merge (dict "name" $name) .) -}}
{{- else if $values.autoscaling.enabled -}}
apiVersion: {{ include "tausql.apiVersion" (dict "root" $root "kind" "HorizontalPodAutoscaler") }}
kind: HorizontalPodAutoscaler
metadata:
  {{- include "tausql.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: {{ .kind }}, name: {{ $name }}}
  minReplicas: {{ int $values.replicas }}
  maxReplicas: {{ int $values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: AverageValue, averageValue: {{ $values.autoscaling.cpu }}}
    {{- if and (eq $root.Values.autoscaling.source "adapter") $values.autoscaling.load.metric }}
    - type: Pods
      pods:
        metric: {name: {{ $values.autoscaling.load.metric }}}
        target: {type: AverageValue, averageValue: {{ include "tausql.text" $values.autoscaling.load.target | quote }}}
    {{- end }}
  behavior:
    {{- include "tausql.scaling" $values.autoscaling | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* Out at once, doubling; in one pod a minute, and only after a calm; with no calm
named, never by itself. */}}
{{- define "tausql.scaling" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - {type: Percent, value: 100, periodSeconds: 15}
    - {type: Pods, value: 2, periodSeconds: 15}
scaleDown:
  {{- if .scaleInSeconds }}
  stabilizationWindowSeconds: {{ int .scaleInSeconds }}
  selectPolicy: Max
  policies:
    - {type: Pods, value: 1, periodSeconds: 60}
  {{- else }}
  selectPolicy: Disabled
  {{- end }}
{{- end -}}

{{- define "tausql.scaledobject" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .service -}}
{{- $scaling := $values.autoscaling -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "tausql.metadata" . | nindent 2 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: {{ .kind }}, name: {{ .name }}}
  minReplicaCount: {{ int $values.replicas }}
  maxReplicaCount: {{ int $scaling.maxReplicas }}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        {{- include "tausql.scaling" $scaling | nindent 8 }}
  triggers:
    - type: cpu
      metricType: AverageValue
      metadata: {value: {{ $scaling.cpu | quote }}}
    {{- if $scaling.load.metric }}
    {{- $target := int $scaling.load.target }}
    {{- $query := printf "sum(%s{namespace=%q})" $scaling.load.metric $root.Release.Namespace }}
    {{- if and (eq .service "processor") $values.warmPool.enabled }}
    {{- /* The warm pool, as part of the demand. */}}
    {{- $target = int $values.warmPool.targetSessions }}
    {{- $query = printf "%s + %d" $query (max (int $values.warmPool.sessions) (mul (int $values.warmPool.processors) $target)) }}
    {{- end }}
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: {{ $root.Values.autoscaling.prometheusUrl }}
        query: {{ $query | quote }}
        threshold: {{ $target | quote }}
    {{- end }}
{{- end -}}
