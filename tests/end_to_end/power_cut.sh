#!/usr/bin/env bash
# A power cut in the middle of a night: the run that waits behind it starts by itself and resumes.
#
#     power_cut.sh FOLDER PORT
#
# FOLDER and PORT are those of nights.bash. The script exits with 0 if all checks pass.
source "$(dirname "$0")/nights.bash" "$1" "$2"

with_descendants() { # PID: print it and the PIDs of all its descendants
    echo "$1"
    for child in $(pgrep -P "$1"); do with_descendants "$child"; done
}
kept() { # print the number of rows that have a record in the output folder
    find "$folder/results/.nst-batch/rows" -maxdepth 1 -type f 2> /dev/null | wc -l
}

start_server
deploy
start_worker

say "a night of five rows starts, and the next one waits for it"
printf 'content,style,output,style_weight\n' > "$folder/five.csv"
for number in 1 2 3 4 5; do
    printf 'a.png,s.png,picture%s,%s\n' "$number" "$number" >> "$folder/five.csv"
done
# A row takes some seconds, with Adam, because L-BFGS may converge long before.
settings='settings={"size": 32, "steps": 800, "octaves": 1, "tolerance": 0, "optimizer": "adam"}'
night five.csv --param "$settings" --flow-run-name cut
night five.csv --param "$settings" --flow-run-name next
for _ in $(seq 600); do
    [[ "$(kept)" -gt 0 ]] && break
    sleep 0.2
done
[[ "$(kept)" -gt 0 ]] || die "no row: $(tail -20 "$folder/worker.log")"

say "the power is cut: server, worker and flow run end at once"
processes=$(with_descendants "$worker"; with_descendants "$server")
[[ "$(with_descendants "$worker" | wc -l)" -gt 1 ]] || die "the worker runs no flow"
# shellcheck disable=SC2086 - the variable holds several PIDs
kill -9 $processes
wait "$worker" "$server" 2> /dev/null || true
before=$(kept)
[[ "$before" -lt 5 ]] || die "the night was over before the cut"

say "the power is back; $before of 5 rows are done, and nobody cleans anything up"
start_server
start_worker
for _ in $(seq 180); do
    [[ "$(runs_in_state COMPLETED)" -gt 0 ]] && break
    sleep 1
done
[[ "$(runs_in_state COMPLETED)" == 1 ]] || die "the next night did not end: $(tail -20 "$folder/worker.log")"

found=$(statuses "$folder/results")
[[ "$found" =~ ^cached(\ cached)*(\ done)+$ && "$(wc -w <<< "$found")" == 5 ]] || die "found $found"
say "everything holds: $found"
