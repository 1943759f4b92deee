{{- define "veil.proxy" -}}{{ .Release.Name }}{{- end }}
{{- define "veil.workers" -}}{{ .Release.Name }}-blur-service{{- end }}
{{- define "veil.adminSecret" -}}{{ .Values.proxy.adminSecret | default (printf "%s-admin" .Release.Name) }}{{- end }}
{{- define "veil.proxySelector" -}}
{ app.kubernetes.io/name: veil, app.kubernetes.io/instance: {{ .Release.Name }} }
{{- end }}
{{- define "veil.workersSelector" -}}
{ app.kubernetes.io/name: blur-service, app.kubernetes.io/instance: {{ .Release.Name }} }
{{- end }}
{{- define "veil.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: veil
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}
{{- define "veil.proxyLabels" -}}
app.kubernetes.io/name: veil
{{ include "veil.labels" . }}
{{- end }}
{{- define "veil.workersLabels" -}}
app.kubernetes.io/name: blur-service
{{ include "veil.labels" . }}
{{- end }}
