{{/* Who may talk to whom: docs/architecture.md as a table, and the policies that follow from it. */}}

{{/* caller: {callee: ports}. Also everybody asks control for the map and timekeepers for the time. */}}
{{- define "tausql.edges" -}}
frontend: {processor: [7400, 7500]}
processor: {storage: [7400], adjudicator: [7400]}
adjudicator: {adjudicator: [7400], journal: [7400]}
journal: {journal: [7400]}
crossbar: {journal: [7400], adjudicator: [7400]}
storage: {crossbar: [7400], storage: [7400]}
timekeeper: {}
changefeed: {crossbar: [7400], storage: [7400], processor: [7400]}
control: {control: [7400], processor: [7400, 7500]}
{{- end -}}

{{/* All edges of this release as JSON. */}}
{{- define "tausql.allEdges" -}}
{{- $edges := include "tausql.edges" . | fromYaml -}}
{{- $services := include "tausql.services" . | fromJsonArray -}}
{{- $all := dict -}}
{{- range $caller := $services -}}
{{- $callees := dict -}}
{{- range $callee, $ports := index $edges $caller -}}
{{- if has $callee $services -}}{{- $_ := set $callees $callee $ports -}}{{- end -}}
{{- end -}}
{{- if ne $caller "control" -}}
{{- $_ := set $callees "control" (list 7400) -}}
{{- if ne $caller "timekeeper" -}}{{- $_ := set $callees "timekeeper" (list 7400) -}}{{- end -}}
{{- else -}}
{{- range $services -}}
{{- if ne . "control" -}}{{- $_ := set $callees . (uniq (append (default list (index $callees .)) 8080)) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $_ := set $all $caller $callees -}}
{{- end -}}
{{- $all | toJson -}}
{{- end -}}

{{/* Services of other regions that a service calls there, or that call it: (dict "service" ... "direction" "in"). JSON. */}}
{{- define "tausql.abroad" -}}
{{- $reached := list "adjudicator" "journal" "crossbar" "storage" "control" -}}
{{- $edges := include "tausql.edges" . | fromYaml -}}
{{- $_ := set $edges "control" (dict "control" (list 7400)) -}}
{{- $others := list -}}
{{- range $caller, $callees := $edges -}}
{{- range $callee, $ports := $callees -}}
{{- if has $callee $reached -}}
{{- if and (eq $.direction "in") (eq $callee $.service) -}}{{- $others = append $others $caller -}}{{- end -}}
{{- if and (eq $.direction "out") (eq $caller $.service) -}}{{- $others = append $others $callee -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- uniq $others | sortAlpha | toJson -}}
{{- end -}}

{{/* Peers of other regions: (dict "root" $ "services" list). A region in this cluster by namespace, any other by addresses. */}}
{{- define "tausql.foreigners" -}}
{{- $root := .root -}}
{{- $services := .services -}}
{{- range $root.Values.regions.peers }}
{{- with .namespace }}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ . }}
  podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ include "tausql.name" $root }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: {{ $services | toJson }}}
{{- end }}
{{- range .cidrs }}
- ipBlock: {cidr: {{ . }}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tausql.ports" -}}
ports:
{{- range . }}
  - {protocol: TCP, port: {{ int . }}}
{{- end }}
{{- end -}}

{{- define "tausql.networkpolicy" -}}
{{- if .root.Values.networkPolicy.enabled -}}
{{- $root := .root -}}
{{- $service := .service -}}
{{- $policy := $root.Values.networkPolicy -}}
{{- $edges := include "tausql.allEdges" $root | fromJson -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "tausql.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tausql.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- range $caller, $callees := $edges }}
    {{- with index $callees $service }}
    - from:
        - podSelector:
            matchLabels:
              {{- include "tausql.selector" (dict "root" $root "service" $caller) | nindent 14 }}
      {{- include "tausql.ports" . | nindent 6 }}
    {{- end }}
    {{- end }}
    {{- with include "tausql.foreigners" (dict "root" $root "services" (include "tausql.abroad" (dict "service" $service "direction" "in") | fromJsonArray)) | trim }}
    {{- if include "tausql.abroad" (dict "service" $service "direction" "in") | fromJsonArray }}
    - from:
        {{- . | nindent 8 }}
      {{- include "tausql.ports" (list 7400) | nindent 6 }}
    {{- end }}
    {{- end }}
    {{- if eq $service "frontend" }}
    # Clients, and the test of this release.
    - {{- include "tausql.ports" (list 5432 8443 8080) | nindent 6 }}
      {{- with $policy.clients }}
      from:
        {{- toYaml . | nindent 8 }}
        - podSelector:
            matchLabels:
              {{- include "tausql.selector" (dict "root" $root "service" "test") | nindent 14 }}
      {{- end }}
    {{- end }}
    {{- if and (eq $service "control") (not $root.Values.witness) }}
    # Callers of the API, and the test of this release.
    - {{- include "tausql.ports" (list 8081) | nindent 6 }}
      {{- with $policy.apiClients }}
      from:
        {{- toYaml . | nindent 8 }}
        - podSelector:
            matchLabels:
              {{- include "tausql.selector" (dict "root" $root "service" "test") | nindent 14 }}
      {{- end }}
    {{- end }}
    # Metrics. Kubelets' probes come from the node and are never kept out.
    - from:
        - podSelector:
            matchLabels:
              {{- include "tausql.selector" (dict "root" $root "service" "prometheus") | nindent 14 }}
        {{- with $policy.scrapers }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- include "tausql.ports" (list 8080) | nindent 6 }}
  egress:
    # Names.
    - ports:
        - {protocol: UDP, port: 53}
        - {protocol: TCP, port: 53}
    {{- range $callee, $ports := index $edges $service }}
    - to:
        - podSelector:
            matchLabels:
              {{- include "tausql.selector" (dict "root" $root "service" $callee) | nindent 14 }}
      {{- include "tausql.ports" $ports | nindent 6 }}
    {{- end }}
    {{- with include "tausql.foreigners" (dict "root" $root "services" (include "tausql.abroad" (dict "service" $service "direction" "out") | fromJsonArray)) | trim }}
    {{- if include "tausql.abroad" (dict "service" $service "direction" "out") | fromJsonArray }}
    - to:
        {{- . | nindent 8 }}
      {{- include "tausql.ports" (list 7400) | nindent 6 }}
    {{- end }}
    {{- end }}
    {{- if eq $service "changefeed" }}
    # Targets of change streams, wherever they are.
    - {{- include "tausql.ports" $policy.changeTargets.ports | nindent 6 }}
      {{- with $policy.changeTargets.to }}
      to:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- end }}
    {{- if eq $service "control" }}
    # The Kubernetes API.
    - {{- include "tausql.ports" $policy.apiServer.ports | nindent 6 }}
      {{- with $policy.apiServer.cidrs }}
      to:
        {{- range . }}
        - ipBlock: {cidr: {{ . }}}
        {{- end }}
      {{- end }}
    {{- end }}
{{- end -}}
{{- end -}}
