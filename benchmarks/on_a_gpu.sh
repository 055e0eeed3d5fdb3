#!/usr/bin/env bash
# All that is to be seen on a machine with an NVIDIA GPU, in at most eight minutes: benchmarks/on_a_gpu.sh [DIRECTORY]
# Runs in the environment that is active. One part that fails or exceeds its time keeps no other from running; the exit
# code is 1 then, and DIRECTORY/summary.txt says which. DEVICE=cpu RECIPE=gpt_tiny tries the script without a GPU.
set -uo pipefail
cd "$(dirname "$0")/.."

results=$(realpath -m "${1:-gpu_results}")
device=${DEVICE:-cuda}
mkdir -p "$results"
export GPTKIT_CACHE="$results/cache"
failed=0

# part NAME SECONDS COMMAND…: runs it with its output in NAME.txt, and says how it went.
part() {
  local name=$1 seconds=$2 began=$SECONDS code
  shift 2
  timeout --kill-after=5 "$seconds" "$@" > "$results/$name.txt" 2>&1
  code=$?
  ((code == 0)) || failed=1
  printf '%-10s exit %d after %d s of %d\n' "$name" "$code" $((SECONDS - began)) "$seconds" |
    tee -a "$results/summary.txt"
}

facts() {
  if [[ $device == cuda ]]; then nvidia-smi; fi
  python -m torch.utils.collect_env
}

# The contract of every built-in that computes on a device, eight at a time.
contracts() {
  local kind
  for kind in attention feed_forward norm position block optimizer; do
    python -m gptkit components list "$kind" --json | grep -oP '^    "name": "\K\w+'
  done | sort -u | xargs -P 8 -I NAME bash -c \
    'python -m gptkit check NAME --device "$device" > "$results/contract_NAME.txt" 2>&1 || { echo NAME; exit 1; }'
}
export -f facts contracts
export results device

: > "$results/summary.txt"
part facts 20 bash -c facts
part tests 120 python -m pytest -m cuda -n 4
part contracts 110 bash -c contracts
part training 80 python benchmarks/profile_training.py "${RECIPE:-gpt_small}" "$results/training" train.max_iters=200 "train.device=$device"
part attention 90 python -m pytest benchmarks/test_attention.py --benchmark --repeats 3 -n 0 "--benchmark-json=$results/attention.json"
part decoding 60 python -m pytest benchmarks/test_decoding.py --benchmark --repeats 3 -n 0 "--benchmark-json=$results/decoding.json"
exit $failed
