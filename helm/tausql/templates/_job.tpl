{{/* Pods that do one thing with the Kubernetes API and end. */}}

{{/* (dict "root" $ "account" "..."). Always with the account's token; that is what they are for. */}}
{{- define "tausql.jobPod" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with .root.Values.placement.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.placement.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "tausql.jobContainer" -}}
image: {{ include "tausql.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.containerSecurityContext | nindent 2 }}
resources:
  requests: {cpu: 25m, memory: 64Mi}
  limits: {memory: 256Mi}
{{- end -}}
