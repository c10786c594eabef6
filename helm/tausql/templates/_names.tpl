{{/* Names, labels, and which services this release runs. */}}

{{- define "tausql.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 40 characters: names of pods are host names, and what follows needs room. */}}
{{- define "tausql.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "tausql.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What finds a pod: (dict "root" $ "service" "journal"). Never changes in the life of a release. */}}
{{- define "tausql.selector" -}}
app.kubernetes.io/name: {{ include "tausql.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- end -}}

{{- define "tausql.labels" -}}
{{ include "tausql.selector" . }}
app.kubernetes.io/part-of: tausql
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* metadata of an object: (dict "root" $ "service" "journal" "name" "...") ; name "" = <fullname>-<service>. */}}
{{- define "tausql.metadata" -}}
name: {{ .name | default (printf "%s-%s" (include "tausql.fullname" .root) .service) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "tausql.labels" . | nindent 2 }}
{{- end -}}

{{/* The services of this release, as JSON: a witness only votes. */}}
{{- define "tausql.services" -}}
{{- if .Values.witness -}}
["journal", "timekeeper", "control"]
{{- else -}}
["frontend", "processor", "adjudicator", "journal", "crossbar", "storage", "timekeeper", "control", "changefeed"]
{{- end -}}
{{- end -}}

{{/* "true" where this release runs the service: (dict "root" $ "service" "journal"). */}}
{{- define "tausql.runs" -}}
{{- if has .service (include "tausql.services" .root | fromJsonArray) -}}true{{- end -}}
{{- end -}}

{{- define "tausql.image" -}}
{{- $image := .Values.image -}}
{{- $path := ternary (printf "%s/%s" $image.registry $image.repository) $image.repository (ne $image.registry "") -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $path $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "tausql.serviceAccountName" -}}
{{- (index .root.Values .service).serviceAccount.name | default (printf "%s-%s" (include "tausql.fullname" .root) .service) -}}
{{- end -}}

{{/* The first access key, and the key that other keys' secrets are encrypted with. */}}
{{- define "tausql.credentialsSecret" -}}
{{- .Values.auth.existingSecret | default (printf "%s-credentials" (include "tausql.fullname" .)) -}}
{{- end -}}

{{/* A number or a word of values as text; Helm reads numbers as floats, and would write 2000000 as 2e+06. */}}
{{- define "tausql.text" -}}
{{- if kindIs "float64" . -}}
{{- if eq . (floor .) -}}{{- printf "%d" (int64 .) -}}{{- else -}}{{- toString . -}}{{- end -}}
{{- else if or (kindIs "map" .) (kindIs "slice" .) -}}
{{- toJson . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}
