#!/usr/bin/env bash
# A batch with curl and jq: examples/curl.sh [input.jsonl], while `npm start` runs in another terminal.
# BATCHMILL_URL and BATCHMILL_API_KEY name another server and its key.
set -euo pipefail

input=${1:-$(dirname "$0")/mixed.jsonl}
api=${BATCHMILL_URL:-http://127.0.0.1:8080}/v1
call() { curl --silent --show-error --fail-with-body -H "Authorization: Bearer ${BATCHMILL_API_KEY:-none}" "$@"; }

file=$(call "$api/files" -F purpose=batch -F "file=@$input" | jq -r .id)
batch=$(call "$api/batches" --json "{\"input_file_id\":\"$file\",\"endpoint\":\"/v1/chat/completions\",\"completion_window\":\"24h\"}" | jq -r .id)

while :; do
  state=$(call "$api/batches/$batch")
  jq -c '[.id, .status, .request_counts]' <<<"$state" >&2
  case $(jq -r .status <<<"$state") in completed | failed | expired | cancelled) break ;; esac
  sleep 1
done
jq -r '.errors.data[]? | "line \(.line): \(.message)"' <<<"$state" >&2

# Every custom_id is in exactly one of the two files, in the order of the input.
for id in $(jq -r '.output_file_id, .error_file_id | values' <<<"$state"); do
  call "$api/files/$id/content"
done
