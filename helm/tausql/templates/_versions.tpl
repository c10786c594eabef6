{{/*
Which version of an API, and which fields, the cluster knows. Built-in ones go by the cluster's version, which
`helm template --kube-version` can say too; kinds that others bring go by what the cluster lists.
*/}}

{{/* (dict "root" $ "since" "1.27"): "true" or "". Pre-releases and vendors' suffixes count as the version. */}}
{{- define "tausql.since" -}}
{{- if semverCompare (printf ">=%s.0-0" .since) .root.Capabilities.KubeVersion.Version -}}true{{- end -}}
{{- end -}}

{{/* (dict "root" $ "kind" "CronJob"): the apiVersion to use. */}}
{{- define "tausql.apiVersion" -}}
{{- $known := dict
  "HorizontalPodAutoscaler" (list "1.23" "autoscaling/v2" "autoscaling/v2beta2")
  "PodDisruptionBudget" (list "1.21" "policy/v1" "policy/v1beta1")
  "CronJob" (list "1.21" "batch/v1" "batch/v1beta1") -}}
{{- $api := index $known .kind -}}
{{- if include "tausql.since" (dict "root" .root "since" (index $api 0)) -}}{{- index $api 1 -}}{{- else -}}{{- index $api 2 -}}{{- end -}}
{{- end -}}

{{/* (dict "root" $ "wish" "auto" "api" "monitoring.coreos.com/v1/PodMonitor"): "true" or "". */}}
{{- define "tausql.wanted" -}}
{{- if or (eq .wish "always") (and (eq .wish "auto") (.root.Capabilities.APIVersions.Has .api)) -}}true{{- end -}}
{{- end -}}
