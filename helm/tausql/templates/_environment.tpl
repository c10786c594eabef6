{{/* What processes are told. (dict "root" $ "service" "journal") throughout. */}}

{{- define "tausql.environment" -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- $values := index $root.Values $service -}}
{{- $fullname := include "tausql.fullname" $root -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
- name: TAUSQL_NAME
  value: $(POD_NAME)
- name: TAUSQL_ADDRESS
  {{- if has $service (list "journal" "storage") }}
  value: $(POD_NAME).{{ $fullname }}-{{ $service }}.{{ $root.Release.Namespace }}.svc:7400
  {{- else }}
  value: $(POD_IP):7400
  {{- end }}
- name: TAUSQL_RPC_LISTEN
  value: 0.0.0.0:7400
- name: TAUSQL_HTTP_LISTEN
  value: 0.0.0.0:8080
- name: TAUSQL_DATA_DIR
  value: /data
- name: TAUSQL_DRAIN_SECONDS
  value: {{ include "tausql.text" $values.drainSeconds | quote }}
{{- if ne $service "control" }}
- name: TAUSQL_CONTROL
  value: {{ $fullname }}-control.{{ $root.Release.Namespace }}.svc:7400
{{- end }}
- name: TAUSQL_CLOCK
  value: {{ ternary "host" "timekeeper" (has $service (list "timekeeper" "control")) }}
{{- if not (has $service (list "timekeeper" "control")) }}
- name: TAUSQL_CLOCK_SOURCES_MIN
  value: {{ include "tausql.text" $root.Values.timekeeper.replicas | quote }}
{{- end }}
{{- if ne $root.Values.tls.mode "none" }}
- name: TAUSQL_TLS_DIR
  value: /tls/fleet
{{- end }}
{{- include (printf "tausql.environment.%s" $service) . }}
{{- range $name, $value := $root.Values.settings }}
- name: TAUSQL_{{ upper $name }}
  value: {{ include "tausql.text" $value | quote }}
{{- end }}
{{- range $name, $value := $values.settings }}
- name: TAUSQL_{{ upper $service }}_{{ upper $name }}
  value: {{ include "tausql.text" $value | quote }}
{{- end }}
{{- with $values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tausql.environment.frontend" }}
{{- $tls := .root.Values.tls.edge }}
- name: TAUSQL_FRONTEND_LISTEN
  value: 0.0.0.0:5432
- name: TAUSQL_FRONTEND_WEBSOCKET_LISTEN
  value: 0.0.0.0:8443
- name: TAUSQL_FRONTEND_TLS
  value: {{ ternary "required" "optional" $tls.required }}
{{- if ne $tls.mode "none" }}
- name: TAUSQL_FRONTEND_TLS_DIR
  value: /tls/edge
{{- else }}
- name: TAUSQL_FRONTEND_CERTIFICATE_NAMES
  value: {{ include "tausql.edgeNames" .root | fromJsonArray | toJson | quote }}
{{- end }}
{{- end -}}

{{- define "tausql.environment.processor" }}
- name: TAUSQL_PROCESSOR_SESSION_LISTEN
  value: 0.0.0.0:7500
{{- end -}}

{{- define "tausql.environment.adjudicator" }}{{- end -}}
{{- define "tausql.environment.journal" }}{{- end -}}
{{- define "tausql.environment.crossbar" }}{{- end -}}
{{- define "tausql.environment.storage" }}{{- end -}}

{{- define "tausql.environment.changefeed" }}
{{- $values := .root.Values.changefeed }}
- name: TAUSQL_CHANGEFEED_KINESIS_ENDPOINT
  value: {{ $values.kinesisEndpoint | quote }}
- name: TAUSQL_CHANGEFEED_TARGETS
  value: {{ $values.targets | toJson | quote }}
{{- if $values.credentialsSecret }}
- name: TAUSQL_CHANGEFEED_CREDENTIALS_FILE
  value: /credentials/credentials.json
{{- end }}
{{- end -}}

{{- define "tausql.environment.timekeeper" }}
{{- with include "tausql.assumedError" .root }}
- name: TAUSQL_CLOCK_ASSUMED_ERROR_US
  value: {{ . | quote }}
- name: TAUSQL_TIMEKEEPER_ASSUMED_ERROR_US
  value: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "tausql.environment.control" }}
{{- $root := .root }}
{{- $fullname := include "tausql.fullname" $root }}
{{- $peers := list }}
{{- range $root.Values.regions.peers }}
{{- $peers = append $peers (pick . "region" "address") }}
{{- end }}
- name: TAUSQL_CONTROL_NAMESPACE
  value: {{ $root.Release.Namespace }}
- name: TAUSQL_CONTROL_RELEASE
  value: {{ $root.Release.Name }}
- name: TAUSQL_CONTROL_REGION
  value: {{ $root.Values.cluster.region | quote }}
{{- if not $root.Values.witness }}
- name: TAUSQL_CONTROL_ACCOUNT
  value: {{ $root.Values.cluster.account | quote }}
- name: TAUSQL_CONTROL_API_LISTEN
  value: 0.0.0.0:8081
- name: TAUSQL_CONTROL_CREDENTIALS_FILE
  value: /credentials/credentials.json
- name: TAUSQL_CONTROL_FLEET_KEY_FILE
  value: /credentials/fleet.key
{{- end }}
- name: TAUSQL_CONTROL_STREAMS
  value: {{ include "tausql.text" $root.Values.cluster.streams | quote }}
- name: TAUSQL_CONTROL_JOURNAL
  value: {{ include "tausql.journalMembers" $root | quote }}
- name: TAUSQL_CONTROL_PEERS
  value: {{ $peers | toJson | quote }}
- name: TAUSQL_CONTROL_ADJUDICATOR_REGIONS
  value: {{ $root.Values.regions.adjudicators | toJson | quote }}
- name: TAUSQL_CONTROL_LEASE
  value: {{ $fullname }}-control
- name: TAUSQL_CONTROL_LEASE_SECONDS
  value: {{ include "tausql.text" $root.Values.control.leaseSeconds | quote }}
- name: TAUSQL_CONTROL_SHARD_BYTES
  value: {{ include "tausql.text" $root.Values.storage.shardBytes | quote }}
{{- if include "tausql.warmPool" $root }}
{{- $processor := $root.Values.processor }}
- name: TAUSQL_CONTROL_PROCESSOR_DEPLOYMENT
  value: {{ $fullname }}-processor
- name: TAUSQL_CONTROL_PROCESSOR_HPA
  value: {{ ternary (printf "%s-processor" $fullname) "" $processor.autoscaling.enabled | quote }}
- name: TAUSQL_CONTROL_PROCESSORS_MIN
  value: {{ include "tausql.text" $processor.replicas | quote }}
- name: TAUSQL_CONTROL_PROCESSORS_MAX
  value: {{ include "tausql.text" $processor.autoscaling.maxReplicas | quote }}
- name: TAUSQL_CONTROL_TARGET_SESSIONS
  value: {{ include "tausql.text" $processor.warmPool.targetSessions | quote }}
- name: TAUSQL_CONTROL_WARM_PROCESSORS
  value: {{ include "tausql.text" $processor.warmPool.processors | quote }}
- name: TAUSQL_CONTROL_WARM_SESSIONS
  value: {{ include "tausql.text" $processor.warmPool.sessions | quote }}
- name: TAUSQL_CONTROL_SCALE_IN_SECONDS
  value: {{ include "tausql.text" $processor.warmPool.scaleInSeconds | quote }}
{{- end }}
{{- end -}}

{{/* "true" where control keeps idle processors; under KEDA, whose own objects would undo it, its query does. */}}
{{- define "tausql.warmPool" -}}
{{- $processor := .Values.processor -}}
{{- $keda := and (eq .Values.autoscaling.source "keda") $processor.autoscaling.enabled -}}
{{- if and $processor.warmPool.enabled (not .Values.witness) (not $keda) -}}true{{- end -}}
{{- end -}}

{{/* All journal replicas as JSON. Given, or those of this release's StatefulSet: names and addresses that never change. */}}
{{- define "tausql.journalMembers" -}}
{{- if .Values.journal.members -}}
{{- .Values.journal.members | toJson -}}
{{- else -}}
{{- $name := printf "%s-journal" (include "tausql.fullname" .) -}}
{{- $members := list -}}
{{- range $i := until (int .Values.journal.replicas) -}}
{{- $pod := printf "%s-%d" $name $i -}}
{{- $members = append $members (dict "name" $pod "address" (printf "%s.%s.%s.svc:7400" $pod $name $.Release.Namespace) "region" $.Values.cluster.region) -}}
{{- end -}}
{{- $members | toJson -}}
{{- end -}}
{{- end -}}

{{/*
Microseconds to assume for timekeepers' clocks, or "". `auto`: nodes that report one boot ID are containers on one
kernel, which has one oscillator. A lone node proves nothing, since others may join it, unless it is one of kind's or minikube's.
*/}}
{{- define "tausql.assumedError" -}}
{{- $wish := .Values.clock.assumedErrorMicros -}}
{{- if eq (toString $wish) "auto" -}}
{{- $boots := dict -}}
{{- $container := false -}}
{{- $nodes := list -}}
{{- with lookup "v1" "Node" "" "" }}{{ $nodes = .items }}{{ end -}}
{{- range $nodes -}}
{{- $_ := set $boots .status.nodeInfo.bootID true -}}
{{- $minikube := dig "metadata" "labels" "minikube.k8s.io/name" "" . -}}
{{- if or $minikube (hasPrefix "kind://" (dig "spec" "providerID" "" .)) -}}{{- $container = true -}}{{- end -}}
{{- end -}}
{{- if and (eq (len $boots) 1) (or $container (gt (len $nodes) 1)) -}}20{{- end -}}
{{- else if ne (toString $wish) "none" -}}
{{- include "tausql.text" $wish -}}
{{- end -}}
{{- end -}}
