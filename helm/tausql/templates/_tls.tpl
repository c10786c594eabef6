{{/* Which Secrets hold certificates, and what clients may call the frontend. */}}

{{- define "tausql.fleetSecret" -}}
{{- if eq .Values.tls.mode "secret" -}}
{{- required "tls.mode is secret: tls.secretName is missing" .Values.tls.secretName -}}
{{- else -}}
{{- include "tausql.fullname" . }}-tls
{{- end -}}
{{- end -}}

{{- define "tausql.edgeSecret" -}}
{{- if eq .Values.tls.edge.mode "secret" -}}
{{- required "tls.edge.mode is secret: tls.edge.secretName is missing" .Values.tls.edge.secretName -}}
{{- else -}}
{{- include "tausql.fullname" . }}-edge
{{- end -}}
{{- end -}}

{{/* As JSON: all endpoints of this region, the Service by its names from within a namespace and from without, and `tls.edge.names`. */}}
{{- define "tausql.edgeNames" -}}
{{- $name := printf "%s-frontend" (include "tausql.fullname" .) -}}
{{- $inside := printf "%s.%s" $name .Release.Namespace -}}
{{- $endpoints := printf "*.dsql.%s.on.aws" .Values.cluster.region -}}
{{- concat (list $endpoints $name $inside (printf "%s.svc" $inside) (printf "%s.svc.cluster.local" $inside)) .Values.tls.edge.names | uniq | toJson -}}
{{- end -}}

{{/* "fleet", "edge", "fleet edge" or "": what the Job makes. */}}
{{- define "tausql.certificatesMade" -}}
{{- $fleet := eq .Values.tls.mode "job" -}}
{{- $edge := and (eq .Values.tls.edge.mode "job") (not .Values.witness) -}}
{{- list (ternary "fleet" "" $fleet) (ternary "edge" "" $edge) | join " " | trim -}}
{{- end -}}
