{{/*
The pod of every service, so that each looks like its siblings: (dict "root" $ "service" "journal"), for storage also
"zone". What differs between services is in the tables of this file and in `_environment.tpl`, nowhere else.
*/}}

{{- define "tausql.pod" -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- $values := index $root.Values $service -}}
{{- $fullname := include "tausql.fullname" $root -}}
metadata:
  labels:
    {{- /* No versions: a new chart must not roll pods that it does not change. */}}
    {{- include "tausql.selector" . | nindent 4 }}
    app.kubernetes.io/part-of: tausql
    {{- with .zone }}
    tausql.io/zone: {{ . }}
    {{- end }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ $service }}
    {{- if $root.Values.monitoring.annotations }}
    prometheus.io/scrape: "true"
    prometheus.io/port: "8080"
    prometheus.io/path: /metrics
    {{- end }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tausql.serviceAccountName" . }}
  automountServiceAccountToken: {{ eq $service "control" }}
  # Variables of Services (TAUSQL_CONTROL_PORT=tcp://...) would be taken for settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add (int $values.preStopSeconds) (int $values.drainSeconds) 10 }}
  {{- with include "tausql.priorityClassName" (dict "root" $root "values" $values) }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- include "tausql.scheduling" . | trim | nindent 2 }}
  {{- if and $root.Values.persistence.takeOwnership (dig "persistence" "enabled" false $values) }}
  {{- $user := $root.Values.podSecurityContext }}
  initContainers:
    - name: ownership
      image: {{ include "tausql.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      # The volume itself only: what lies in it was made by the pod's user.
      command: [python, -c, "import os; os.chown('/data', {{ int $user.runAsUser }}, {{ int $user.runAsGroup }})"]
      securityContext:
        runAsUser: 0
        runAsNonRoot: false
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL], add: [CHOWN]}
      resources:
        requests: {cpu: 25m, memory: 32Mi}
        limits: {memory: 64Mi}
      volumeMounts:
        - {name: data, mountPath: /data}
  {{- end }}
  containers:
    - name: {{ $service }}
      image: {{ include "tausql.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [python, -m, tausql.{{ $service }}]
      securityContext:
        {{- toYaml $root.Values.containerSecurityContext | nindent 8 }}
      env:
        {{- include "tausql.environment" . | trim | nindent 8 }}
      ports:
        - {name: rpc, containerPort: 7400}
        - {name: http, containerPort: 8080}
        {{- if eq $service "frontend" }}
        - {name: postgres, containerPort: 5432}
        - {name: websocket, containerPort: 8443}
        {{- else if eq $service "processor" }}
        - {name: session, containerPort: 7500}
        {{- else if and (eq $service "control") (not $root.Values.witness) }}
        - {name: api, containerPort: 8081}
        {{- end }}
      startupProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 1
        timeoutSeconds: 3
        failureThreshold: {{ int $values.startupSeconds }}
      livenessProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: 2
      {{- if gt (int $values.preStopSeconds) 0 }}
      lifecycle:
        preStop:
          {{- if include "tausql.since" (dict "root" $root "since" "1.30") }}
          sleep: {seconds: {{ int $values.preStopSeconds }}}
          {{- else }}
          exec: {command: [python, -c, import time; time.sleep({{ int $values.preStopSeconds }})]}
          {{- end }}
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        {{- if ne $root.Values.tls.mode "none" }}
        - {name: tls, mountPath: /tls/fleet, readOnly: true}
        {{- end }}
        {{- if and (eq $service "frontend") (ne $root.Values.tls.edge.mode "none") }}
        - {name: edge, mountPath: /tls/edge, readOnly: true}
        {{- end }}
        {{- if or (and (eq $service "control") (not $root.Values.witness)) (and (eq $service "changefeed") $values.credentialsSecret) }}
        - {name: credentials, mountPath: /credentials, readOnly: true}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- if not (and (hasKey $values "persistence") (dig "persistence" "enabled" false $values)) }}
    - name: data
      emptyDir: {}
    {{- end }}
    {{- if ne $root.Values.tls.mode "none" }}
    - name: tls
      secret: {secretName: {{ include "tausql.fleetSecret" $root }}, defaultMode: 0440}
    {{- end }}
    {{- if and (eq $service "frontend") (ne $root.Values.tls.edge.mode "none") }}
    - name: edge
      secret: {secretName: {{ include "tausql.edgeSecret" $root }}, defaultMode: 0440}
    {{- end }}
    {{- if and (eq $service "control") (not $root.Values.witness) }}
    - name: credentials
      secret:
        secretName: {{ include "tausql.credentialsSecret" $root }}
        defaultMode: 0440
        items: [{key: credentials.json, path: credentials.json}, {key: fleet.key, path: fleet.key}]
    {{- end }}
    {{- if and (eq $service "changefeed") $values.credentialsSecret }}
    - name: credentials
      secret:
        secretName: {{ $values.credentialsSecret }}
        defaultMode: 0440
        items: [{key: credentials.json, path: credentials.json}]
    {{- end }}
{{- end -}}

{{- define "tausql.priorityClassName" -}}
{{- $class := .root.Values.priorityClass -}}
{{- .values.priorityClassName | default (ternary (default (include "tausql.fullname" .root) $class.name) "" $class.create) -}}
{{- end -}}

{{/* Where pods may run, where they had better run, and how long they stay where nobody hears of them. */}}
{{- define "tausql.scheduling" -}}
{{- $root := .root -}}
{{- $values := index $root.Values .service -}}
{{- $placement := $root.Values.placement -}}
{{- with merge (dict) $values.nodeSelector $placement.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- include "tausql.affinity" . | nindent 2 }}
{{- include "tausql.spread" . }}
tolerations:
  {{- range list "not-ready" "unreachable" }}
  - {key: node.kubernetes.io/{{ . }}, operator: Exists, effect: NoExecute, tolerationSeconds: {{ int $placement.unreachableSeconds }}}
  {{- end }}
  {{- with concat $placement.tolerations $values.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "tausql.affinity" -}}
{{- $values := index .root.Values .service -}}
{{- $selector := dict "matchLabels" (include "tausql.selector" . | fromYaml) -}}
{{- $affinity := dict -}}
{{- $apart := list -}}
{{- if ne $values.spread.zones "off" -}}
{{- $apart = append $apart (dict "weight" 100 "podAffinityTerm" (dict "topologyKey" "topology.kubernetes.io/zone" "labelSelector" $selector)) -}}
{{- end -}}
{{- if ne $values.spread.nodes "off" -}}
{{- $apart = append $apart (dict "weight" 50 "podAffinityTerm" (dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $selector)) -}}
{{- end -}}
{{- if $apart -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $apart) -}}
{{- end -}}
{{- $zones := .root.Values.placement.zones -}}
{{- if .zone -}}{{- $zones = list .zone -}}{{- end -}}
{{- if $zones -}}
{{- $term := dict "matchExpressions" (list (dict "key" "topology.kubernetes.io/zone" "operator" "In" "values" $zones)) -}}
{{- $_ := set $affinity "nodeAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" (list $term))) -}}
{{- end -}}
{{- mergeOverwrite $affinity (deepCopy $values.affinity) | toYaml -}}
{{- end -}}

{{/*
Spread over zones and nodes. A constraint that must hold counts a zone that is away, so that a replacement would wait
for it to come back, unless the scheduler leaves out nodes with taints; where it cannot, the constraint is a wish.
*/}}
{{- define "tausql.spread" -}}
{{- $root := .root -}}
{{- $spread := (index $root.Values .service).spread -}}
{{- $honours := include "tausql.since" (dict "root" $root "since" "1.26") -}}
{{- $revision := and (include "tausql.since" (dict "root" $root "since" "1.27")) (not (has .service (list "journal" "storage"))) -}}
{{- $selector := include "tausql.selector" . -}}
{{- $rows := list (list $spread.zones "topology.kubernetes.io/zone") (list $spread.nodes "kubernetes.io/hostname") -}}
{{- if or (ne $spread.zones "off") (ne $spread.nodes "off") }}
topologySpreadConstraints:
  {{- range $rows }}
  {{- if ne (index . 0) "off" }}
  - topologyKey: {{ index . 1 }}
    maxSkew: 1
    whenUnsatisfiable: {{ ternary "DoNotSchedule" "ScheduleAnyway" (and (eq (index . 0) "require") (ne $honours "")) }}
    {{- if $honours }}
    nodeTaintsPolicy: Honor
    {{- end }}
    {{- if $revision }}
    matchLabelKeys: [pod-template-hash]
    {{- end }}
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}
