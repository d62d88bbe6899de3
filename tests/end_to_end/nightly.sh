#!/usr/bin/env bash
# The sequence of docs/nightly.md against a fresh server and worker, checked step by step.
#
#     nightly.sh FOLDER PORT
#
# FOLDER has a.png, s.png and an empty folder for everything that is written; `prefect` and
# `python` are on the PATH. Ends with 0 where everything holds.
set -euo pipefail
folder=$(realpath "$1")
port=$2
checkout=$(cd "$(dirname "$0")/../.." && pwd)

export PREFECT_HOME="$folder/prefect" PREFECT_API_URL="http://127.0.0.1:$port/api"
export PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1
export PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS=5 PREFECT_WORKER_QUERY_SECONDS=2
mkdir -p "$PREFECT_HOME"

say() { printf '== %s\n' "$*"; }
die() { printf 'FAILED: %s\n' "$*"; exit 1; }
end() { # PID: politely, then not
    kill "$1" 2> /dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$1" 2> /dev/null || return 0
        sleep 0.1
    done
    kill -9 "$1" 2> /dev/null || true
}
# The worker first: without a server it would try for a long time to say goodbye.
stop() { for process in ${worker:-} ${server:-}; do end "$process"; done; }
trap stop EXIT

ask() { # PATH JSON: the server's answer
    python - "$PREFECT_API_URL$1" "$2" <<'PYTHON'
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"})
for attempt in range(5):  # a server on SQLite may be busy for a moment
    try:
        print(urllib.request.urlopen(request, timeout=60).read().decode())
        break
    except OSError:
        if attempt == 4:
            raise
PYTHON
}
runs_in_state() { # STATE: how many flow runs of all deployments
    ask /flow_runs/count "{\"flow_runs\": {\"state\": {\"type\": {\"any_\": [\"$1\"]}}}}"
}
statuses() { # FOLDER: the column of the table
    python -c "import pandas, sys; print(*pandas.read_csv(sys.argv[1])['status'])" "$1/summary.csv"
}

say "prefect server start"
prefect server start --host 127.0.0.1 --port "$port" > "$folder/server.log" 2>&1 & server=$!
for _ in $(seq 180); do
    python -c "import urllib.request as r; r.urlopen('$PREFECT_API_URL/health', timeout=5)" 2> /dev/null && break
    kill -0 "$server" || die "the server ended: $(tail -5 "$folder/server.log")"
    sleep 1
done

say "prefect work-pool create, prefect deploy --all, prefect worker start"
prefect work-pool create nst-batch --type process
(cd "$checkout" && env -u NST_BATCH_HOME prefect --no-prompt deploy --all)
NST_BATCH_HOME="$checkout" prefect worker start --pool nst-batch --limit 1 > "$folder/worker.log" 2>&1 & worker=$!

settings='settings={"size": 32, "steps": 2, "octaves": 1}'
night() { # MANIFEST [more]: exit code of the run
    prefect deployment run stylize-manifest/nightly --watch --param "manifest=$folder/$1" \
        --param "output=$folder/results" --param "cache=$folder/cache" "${@:2}"
}

say "a parameter out of range is refused before there is a run"
before=$(ask /flow_runs/count '{"flow_runs": {"name": {"like_": "refused"}}}')
night good.csv --flow-run-name refused --param 'settings={"steps": -5}' && die "steps of -5 were taken"
night good.csv --flow-run-name refused --param 'devices=gpu' && die "a device without a number was taken"
night good.csv --flow-run-name refused --param 'no_such_parameter=1' && die "an unknown parameter was taken"
after=$(ask /flow_runs/count '{"flow_runs": {"name": {"like_": "refused"}}}')
[[ "$before $after" == "0 0" ]] || die "there are $after runs of refused parameters"

say "the first night"
printf 'content,style\na.png,s.png\n' > "$folder/good.csv"
night good.csv --param "$settings" || die "the night failed: $(tail -20 "$folder/worker.log")"
[[ "$(statuses "$folder/results")" == "done" ]] || die "found $(statuses "$folder/results")"
[[ -s "$folder/results/pictures/a_s.png" ]] || die "no picture"

say "the second night"
night good.csv --param "$settings" || die "the second night failed"
[[ "$(statuses "$folder/results")" == "cached" ]] || die "found $(statuses "$folder/results")"

say "a night with a row that fails"
printf 'content,style\na.png,s.png\nmissing.png,s.png\n' > "$folder/bad.csv"
night bad.csv --param "$settings" && die "a failed row ended as a success"
[[ "$(statuses "$folder/results")" == "cached invalid" ]] || die "found $(statuses "$folder/results")"
[[ "$(runs_in_state FAILED)" == 1 ]] || die "expected one failed run, found $(runs_in_state FAILED)"

say "the schedule"
for _ in $(seq 60); do
    [[ "$(runs_in_state SCHEDULED)" -gt 0 ]] && break
    sleep 1
done
[[ "$(runs_in_state SCHEDULED)" -gt 0 ]] || die "no run was scheduled"
say "everything holds: $(runs_in_state SCHEDULED) nights are scheduled"
