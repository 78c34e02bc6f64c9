{{/* The processes: what runs, as what, and whom it talks to. What their values say stands in values.yaml. */}}
{{- define "searchloop.processes" -}}
intake: {kind: Deployment, command: [python, -m, stream, --only, intake], talksTo: [kafka]}
learn: {kind: StatefulSet, command: [python, -m, stream, --only, learn], talksTo: [kafka]}
pictures: {kind: Deployment, command: [python, -m, stream, --only, pictures], talksTo: [kafka, store, pictures]}
indexer: {kind: Deployment, command: [python, -m, indexer], talksTo: [kafka, milvus, store]}
trainer: {kind: StatefulSet, command: [python, -m, trainer], talksTo: [kafka, store]}
searcher: {kind: Deployment, command: [python, -m, searcher], talksTo: [kafka, milvus, store]}
api: {kind: Deployment, command: [python, -m, api], talksTo: [kafka, store]}
{{- end }}

{{- define "searchloop.name" -}}
{{- if contains "searchloop" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-searchloop" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* What selects the pods of a process; of all processes where none is named. */}}
{{- define "searchloop.selector" -}}
app.kubernetes.io/name: searchloop
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .process }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "searchloop.labels" -}}
{{ include "searchloop.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "searchloop.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "searchloop.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* That of the trainer where it makes Jobs: the only one with a token. */}}
{{- define "searchloop.launcherAccount" -}}
{{- .Values.trainer.jobs.serviceAccount | default (printf "%s-trainer" (include "searchloop.name" .)) }}
{{- end }}

{{/* The image of a process: its own where it names one, else that for all. A digest is of one repository. */}}
{{- define "searchloop.image" -}}
{{- $own := default (dict) .values.image }}
{{- $image := ternary $own .root.Values.image (hasKey $own "repository") }}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* Everything that a process is to know, as a list of variables. Its own settings go before those for all. */}}
{{- define "searchloop.environment" -}}
{{- $settings := dict "data_dir" "/data" "http_host" "0.0.0.0" "http_port" 8080 "log_json" true }}
{{- if .root.Values.store.claim }}{{ $_ := set $settings "artefacts" "/store" }}{{ end }}
{{- with .root.Values.store.address }}{{ $_ := set $settings "artefacts" . }}{{ end }}
{{- if eq .process "api" }}{{ $_ := set $settings "api_host" "0.0.0.0" }}{{ $_ := set $settings "api_port" 8077 }}{{ end }}
{{- if and .root.Values.trainer.jobs.enabled (eq .process "trainer") }}{{ $_ := set $settings "job_template" "/job/job.json" }}{{ end }}
{{- range $said := list .root.Values.settings (default (dict) .values.settings) }}
{{- range $name, $value := $said }}{{ $_ := set $settings $name $value }}{{ end }}
{{- end }}
{{- range $name, $value := $settings }}
- name: SEARCHLOOP_{{ upper $name }}
  value: {{ if kindIs "float64" $value }}{{ ternary (printf "%d" (int64 $value)) (toString $value) (eq (float64 (int64 $value)) $value) | quote }}{{ else }}{{ $value | toString | quote }}{{ end }}
{{- end }}
{{- range $name, $file := merge (dict) (default (dict) .values.files) .root.Values.files }}
- name: SEARCHLOOP_{{ upper $name }}
  value: /secrets/{{ $name }}/{{ $file.key }}
{{- end }}
{{- range $name, $from := merge (dict) (default (dict) .values.secrets) .root.Values.secrets }}
- name: SEARCHLOOP_{{ upper $name }}
  valueFrom: {secretKeyRef: {name: {{ $from.secret }}, key: {{ $from.key }}}}
{{- end }}
{{- if eq .kind "StatefulSet" }}
- name: SEARCHLOOP_KAFKA_MEMBER
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end }}
- {name: HOME, value: /tmp}
{{- range concat .root.Values.environment (default (list) .values.environment) }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end }}
