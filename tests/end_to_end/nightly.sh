#!/usr/bin/env bash
# The sequence of docs/nightly.md against a fresh server and worker, checked step by step.
#
#     nightly.sh FOLDER PORT
#
# FOLDER and PORT are those of nights.bash. The script exits with 0 if all checks pass.
source "$(dirname "$0")/nights.bash" "$1" "$2"

say "prefect server start"
start_server
say "without the password, the server answers nothing but whether it is up"
status=$(python - "$PREFECT_API_URL/deployments/filter" <<'PYTHON'
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], b"{}"), timeout=60).status)
except urllib.error.HTTPError as error:
    print(error.code)
PYTHON
)
[[ "$status" == 401 ]] || die "found the status $status"
say "prefect work-pool create, prefect deploy --all, prefect worker start"
deploy
start_worker

settings='settings={"size": 32, "steps": 2, "octaves": 1}'

say "a parameter out of range is refused before there is a run"
before=$(ask /flow_runs/count '{"flow_runs": {"name": {"like_": "refused"}}}')
night good.csv --watch --flow-run-name refused --param 'settings={"steps": -5}' && die "steps of -5 were taken"
night good.csv --watch --flow-run-name refused --param 'devices=gpu0' && die "a device of no known kind was taken"
night good.csv --watch --flow-run-name refused --param 'no_such_parameter=1' && die "an unknown parameter was taken"
after=$(ask /flow_runs/count '{"flow_runs": {"name": {"like_": "refused"}}}')
[[ "$before $after" == "0 0" ]] || die "there are $after runs of refused parameters"

say "the first night"
printf 'content,style\na.png,s.png\n' > "$folder/good.csv"
night good.csv --watch --param "$settings" || die "the night failed: $(tail -20 "$folder/worker.log")"
[[ "$(statuses "$folder/results")" == "done" ]] || die "found $(statuses "$folder/results")"
[[ -s "$folder/results/pictures/a_s.png" ]] || die "no picture"

say "the second night"
night good.csv --watch --param "$settings" || die "the second night failed"
[[ "$(statuses "$folder/results")" == "cached" ]] || die "found $(statuses "$folder/results")"

say "a night with a row that fails"
printf 'content,style\na.png,s.png\nmissing.png,s.png\n' > "$folder/bad.csv"
watched=$(night bad.csv --watch --param "$settings") && die "a failed row ended as a success"
# Prefect breaks the lines for its terminal.
watched=$(tr -s '[:space:]' ' ' <<< "$watched")
grep -q 'result: 1 cached, 1 invalid' <<< "$watched" || die "the counts are not watched: $watched"
grep -q 'line 3, column content' <<< "$watched" || die "the reason is not watched: $watched"
[[ "$(statuses "$folder/results")" == "cached invalid" ]] || die "found $(statuses "$folder/results")"
[[ "$(runs_in_state FAILED)" == 1 ]] || die "expected one failed run, found $(runs_in_state FAILED)"

say "the log of that night says which row is not done, and why, without a traceback"
lines=$(ask /logs/filter '{"limit": 200, "logs": {"level": {"ge_": 30}}}')
grep -q 'invalid: line 3, column content: .*missing.png' <<< "$lines" || die "the row is not told: $lines"
grep -q 'Traceback\|FailedRun' <<< "$lines" && die "a row at fault is told as a bug: $lines"
grep -q 'FailedRun' "$folder/worker.log" && die "a traceback: $(grep -B 20 FailedRun "$folder/worker.log")"

say "the schedule is off until it is switched on"
[[ "$(runs_in_state SCHEDULED)" == 0 ]] || die "nights are scheduled that nobody asked for"
prefect deployment schedule resume --all
for _ in $(seq 60); do
    [[ "$(runs_in_state SCHEDULED)" -gt 0 ]] && break
    sleep 1
done
[[ "$(runs_in_state SCHEDULED)" -gt 0 ]] || die "no run was scheduled"
say "everything holds: $(runs_in_state SCHEDULED) nights are scheduled"
