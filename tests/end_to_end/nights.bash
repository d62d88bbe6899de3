# What the scripts of nightly runs share: a fresh server and worker, and queries to the server.
#
#     source nights.bash FOLDER PORT
#
# FOLDER holds a.png and s.png, and receives everything that is written; `prefect` and `python` are
# on the PATH.
set -euo pipefail
folder=$(realpath "$1")
port=$2
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

export PREFECT_HOME="$folder/prefect" PREFECT_API_URL="http://127.0.0.1:$port/api"
export PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1
# As deploy/ has them: a run can be watched with its log.
export PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED=true PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED=true
# As deploy/ has it: nobody can use the server without this.
export PREFECT_SERVER_API_AUTH_STRING=nst-batch:word PREFECT_API_AUTH_STRING=nst-batch:word
export PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS=5 PREFECT_WORKER_QUERY_SECONDS=2
mkdir -p "$PREFECT_HOME"

say() { printf '== %s\n' "$*"; }
die() { printf 'FAILED: %s\n' "$*"; exit 1; }
end() { # PID: terminate the process, and kill it after ten seconds
    kill "$1" 2> /dev/null || return 0
    for _ in $(seq 100); do
        kill -0 "$1" 2> /dev/null || return 0
        sleep 0.1
    done
    kill -9 "$1" 2> /dev/null || true
}
# The worker ends first: without a server, it would try for a long time to sign off.
stop() { for process in ${worker:-} ${server:-}; do end "$process"; done; }
trap stop EXIT

start_server() {
    prefect server start --host 127.0.0.1 --port "$port" >> "$folder/server.log" 2>&1 & server=$!
    for _ in $(seq 180); do
        python -c "import urllib.request as r; r.urlopen('$PREFECT_API_URL/health', timeout=5)" 2> /dev/null && break
        kill -0 "$server" || die "the server ended: $(tail -5 "$folder/server.log")"
        sleep 1
    done
}
deploy() {
    prefect work-pool create nst-batch --type process
    (cd "$checkout" && env -u NST_BATCH_HOME prefect --no-prompt deploy --all)
}
start_worker() {
    NST_BATCH_HOME="$checkout" prefect worker start --pool nst-batch --limit 1 >> "$folder/worker.log" 2>&1 & worker=$!
}
ask() { # PATH JSON: print the server's answer
    python - "$PREFECT_API_URL$1" "$2" <<'PYTHON'
import base64, os, sys, urllib.request
password = base64.b64encode(os.environ["PREFECT_API_AUTH_STRING"].encode()).decode()
headers = {"Content-Type": "application/json", "Authorization": f"Basic {password}"}
request = urllib.request.Request(sys.argv[1], sys.argv[2].encode(), headers)
for attempt in range(5):  # a server on SQLite may be busy for a moment
    try:
        print(urllib.request.urlopen(request, timeout=60).read().decode())
        break
    except OSError:
        if attempt == 4:
            raise
PYTHON
}
runs_in_state() { # STATE: print the number of flow runs in it, of all deployments
    ask /flow_runs/count "{\"flow_runs\": {\"state\": {\"type\": {\"any_\": [\"$1\"]}}}}"
}
statuses() { # FOLDER: print the column `status` of the table
    python -c "import pandas, sys; print(*pandas.read_csv(sys.argv[1])['status'])" "$1/summary.csv"
}
night() { # MANIFEST [OPTION...]: run the deployment; with --watch, exit with the run's exit code
    prefect deployment run stylize-manifest/nightly --param "manifest=$folder/$1" \
        --param "output=$folder/results" --param "cache=$folder/cache" "${@:2}"
}
