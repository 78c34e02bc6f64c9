{{/* A pod, the same for every process and for a run: restricted, its root read-only, what it writes in /data and /tmp. */}}
{{- define "searchloop.pod" -}}
{{- $files := merge (dict) (default (dict) .values.files) .root.Values.files }}
{{- $jobs := and .root.Values.trainer.jobs.enabled (has .process (list "trainer" "run")) }}
{{- $starts := and $jobs (eq .process "trainer") }}
{{- $own := and (eq .process "trainer") .values.volume (not $jobs) }}
metadata:
  labels: {{- include "searchloop.labels" . | nindent 4 }}
  {{- with .values.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ ternary (include "searchloop.launcherAccount" .root) (include "searchloop.serviceAccount" .root) (not (not $starts)) }}
  automountServiceAccountToken: {{ not (not $starts) }}
  enableServiceLinks: false
  {{- if eq .kind "Job" }}
  restartPolicy: Never
  terminationGracePeriodSeconds: 1 # a run may be killed at any moment
  {{- else }}
  terminationGracePeriodSeconds: 60
  {{- end }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- range $name := list "nodeSelector" "tolerations" "affinity" "runtimeClassName" "priorityClassName" }}
  {{- with get $.values $name }}
  {{ $name }}: {{- if kindIs "string" . }} {{ . }}{{ else }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- end }}
  {{- end }}
  {{- if ne .kind "Job" }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels: {{- include "searchloop.selector" . | nindent 10 }}
  {{- end }}
  containers:
    - name: {{ .process }}
      image: {{ include "searchloop.image" . }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      {{- if ne .kind "Job" }}
      command: {{ toJson .command }}
      {{- end }}
      env: {{- include "searchloop.environment" . | nindent 8 }}
      {{- if ne .kind "Job" }}
      ports:
        - {name: pages, containerPort: 8080}
        {{- if eq .process "api" }}
        - {name: api, containerPort: 8077}
        {{- end }}
      # The pages are up before the work begins, and answer while the event loop turns: a build or a restore may hold
      # it for a minute.
      startupProbe: {httpGet: {path: /healthz, port: pages}, periodSeconds: 5, timeoutSeconds: 4, failureThreshold: 36}
      livenessProbe: {httpGet: {path: /healthz, port: pages}, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 6}
      readinessProbe: {httpGet: {path: /readyz, port: pages}, periodSeconds: 5, timeoutSeconds: 4, failureThreshold: 3}
      {{- end }}
      {{- if eq .process "api" }}
      lifecycle: {preStop: {exec: {command: [sleep, "5"]}}} # until nobody sends requests here any more
      {{- end }}
      resources: {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
        {{- if $starts }}
        - {name: job, mountPath: /job, readOnly: true}
        {{- end }}
        {{- if and .root.Values.store.claim (has "store" .talksTo) }}
        - {name: store, mountPath: /store}
        {{- end }}
        {{- range $name, $file := $files }}
        - {name: {{ $name | replace "_" "-" }}, mountPath: /secrets/{{ $name }}, readOnly: true}
        {{- end }}
  volumes:
    {{- if $jobs }}
    - name: data
      persistentVolumeClaim: {claimName: {{ .root.Values.trainer.jobs.claim }}}
    {{- else if not $own }}
    - name: data
      emptyDir: {sizeLimit: {{ .values.dataSize | default "1Gi" }}}
    {{- end }}
    - name: tmp
      emptyDir: {sizeLimit: 2Gi}
    {{- if $starts }}
    - name: job
      configMap: {name: {{ include "searchloop.name" .root }}-job}
    {{- end }}
    {{- if and .root.Values.store.claim (has "store" .talksTo) }}
    - name: store
      persistentVolumeClaim: {claimName: {{ .root.Values.store.claim }}}
    {{- end }}
    {{- range $name, $file := $files }}
    - name: {{ $name | replace "_" "-" }}
      secret: {secretName: {{ $file.secret }}, defaultMode: 288, items: [{key: {{ $file.key | quote }}, path: {{ $file.key | quote }}}]}
    {{- end }}
{{- end }}
