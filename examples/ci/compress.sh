#!/usr/bin/env bash
# One compression in a pipeline: submit, wait, summary, download, verify. Ends with the exit code of the command that
# failed: 2 usage, 3 job failed, 4 acceptance missed, 5 time-out, 6 auth or quota, 7 bad model, data or artifact.
#
# The service:   STERNA_URL, STERNA_API_KEY
# What is asked: STERNA_MODEL, STERNA_DATA, STERNA_SPARSITY, STERNA_MAX_DROP (more than that fails the pipeline),
#                STERNA_ARGS (further flags of `sterna submit`, split at spaces), STERNA_TIMEOUT (seconds of waiting)
# What comes:    STERNA_OUTPUT (the artifact), STERNA_SUMMARY (a table in Markdown, added at the end),
#                STERNA_RESULT (the job as JSON), STERNA_OUTPUTS (job=… and artifact=… lines, added at the end)
set -euo pipefail

if [ -z "${STERNA_MODEL:-}" ] || [ -z "${STERNA_SPARSITY:-}" ]; then
    echo "STERNA_MODEL (a file) and STERNA_SPARSITY (the share of zeros, between 0 and 1) must be set" >&2
    exit 2
fi
output=${STERNA_OUTPUT:-model.sterna}
result=${STERNA_RESULT:-sterna-job.json}

# An empty STERNA_API_KEY is none: pipelines set it so where a secret is not there.
[ -n "${STERNA_API_KEY:-}" ] || unset STERNA_API_KEY

submit=("$STERNA_MODEL" --sparsity "$STERNA_SPARSITY")
[ -z "${STERNA_DATA:-}" ] || submit+=(--data "$STERNA_DATA")
[ -z "${STERNA_MAX_DROP:-}" ] || submit+=(--max-drop "$STERNA_MAX_DROP" --on-miss fail)
set -f # a flag such as `--exclude *.bias` is for the service, not for this folder
# shellcheck disable=SC2206  split at spaces on purpose
submit+=(${STERNA_ARGS:-})

job=$(sterna submit "${submit[@]}")
echo "job $job"
[ -z "${STERNA_OUTPUTS:-}" ] || echo "job=$job" >>"$STERNA_OUTPUTS"

# A pipeline that is cancelled does not leave its job behind. The wait is in the background, since bash hears a signal only
# between commands and while it waits for such a one.
cancel() {
    kill "$waiting" 2>/dev/null || true
    sterna cancel "$job" >/dev/null || true
    exit 130
}

wait=(--json)
[ -z "${STERNA_TIMEOUT:-}" ] || wait+=(--timeout "$STERNA_TIMEOUT")
[ -z "${STERNA_SUMMARY:-}" ] || wait+=(--summary "$STERNA_SUMMARY")
sterna wait "$job" "${wait[@]}" >"$result" &
waiting=$!
trap cancel INT TERM
wait "$waiting"
trap - INT TERM

sterna download "$job" -o "$output"
sterna verify "$output"
[ -z "${STERNA_OUTPUTS:-}" ] || echo "artifact=$output" >>"$STERNA_OUTPUTS"
